//! The pictures in the README: colored terminal output as SVG, for light and for dark pages.

use std::path::Path;

use anstyle::{Color, RgbColor};
use anstyle_svg::Term;

/// Writes `NAME.svg` and `NAME-dark.svg` from text with ANSI escape codes.
///
/// # Errors
///
/// The error of writing a file.
pub fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let light = ("", RgbColor(31, 35, 40), RgbColor(246, 248, 250));
    let dark = ("-dark", RgbColor(230, 237, 243), RgbColor(22, 27, 34));
    for (suffix, foreground, background) in [light, dark] {
        let svg = Term::new()
            .fg_color(Color::Rgb(foreground))
            .bg_color(Color::Rgb(background))
            .render_svg(text);
        std::fs::write(folder.join(format!("{name}{suffix}.svg")), svg)?;
    }
    Ok(())
}
