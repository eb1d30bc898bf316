//! Converts byte offsets of a text to lines and columns.

pub(super) struct LineIndex<'a> {
    text: &'a str,
    /// The byte offset of the start of each line.
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    pub fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// Returns the line of a byte offset, counted from 1.
    pub fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// Returns the line and the column of a byte offset, both counted from 1. The column is in characters.
    pub fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        (u32::try_from(line).unwrap_or(u32::MAX), column)
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the byte offset of a position of serde_json: a line, and the number of bytes up to and including the one at fault.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.starts.get(line.saturating_sub(1)).copied();
        let offset = (start.unwrap_or(self.text.len()) + column).saturating_sub(1);
        let offset = offset.min(self.text.len());
        // The byte may be in the middle of a character.
        (0..=offset)
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0)
    }
}
