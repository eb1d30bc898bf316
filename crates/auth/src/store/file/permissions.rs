//! Whether other users can change the home folder or the credential file. It reads their metadata and no content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mcp_startup_core::shell_word;

/// Warns if other users can change the home folder or the credential file.
pub fn warning(home: &Path, file: &Path) -> Option<String> {
    // The folder itself can be a symbolic link. A file that does not exist can't be changed.
    let home_metadata = fs::metadata(home).ok()?;
    let user = rustix::process::geteuid().as_raw();
    let mut trusted = vec![0, user];
    if user == 0 {
        // As with `sudo`: root uses the folder of a user.
        trusted.push(home_metadata.uid());
    }
    let problems = [
        Access::from(&home_metadata).problem(&trusted),
        fs::symlink_metadata(file)
            .ok()
            .and_then(|file| Access::from(&file).problem(&trusted)),
    ];
    let problem = [home, file].into_iter().zip(problems);
    let mut problem = problem.filter_map(|(path, problem)| Some((path, problem?)));
    problem.next().map(|(path, problem)| match problem {
        Problem::Writable => format!(
            "other users can change {path}, which holds your sign-ins: run `chmod go-w {word}`",
            path = path.display(),
            word = shell_word(&path.to_string_lossy())
        ),
        Problem::ForeignOwner(owner) => format!(
            "{path}, which holds your sign-ins, belongs to another user (user ID {owner}), who can change them: find out why",
            path = path.display()
        ),
    })
}

/// The owner and the mode of a file or folder.
#[derive(Clone, Copy, Debug)]
struct Access {
    mode: u32,
    owner: u32,
    group: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Writable,
    ForeignOwner(u32),
}

impl From<&fs::Metadata> for Access {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            mode: metadata.mode(),
            owner: metadata.uid(),
            group: metadata.gid(),
        }
    }
}

impl Access {
    /// How users other than `trusted` can change the file.
    fn problem(self, trusted: &[u32]) -> Option<Problem> {
        // Many systems give each user a group of their own with the same number, and let that group write. Other users can be
        // in the group of root.
        let is_private_group = self.group == self.owner && self.owner != 0;
        let others = if is_private_group { 0o002 } else { 0o022 };
        if !trusted.contains(&self.owner) {
            Some(Problem::ForeignOwner(self.owner))
        } else if self.mode & others != 0 {
            Some(Problem::Writable)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_other_users_can_change_is_a_problem() {
        use Problem::{ForeignOwner, Writable};
        let user = [0, 1000];
        for (mode, owner, group, expected) in [
            (0o700, 1000, 1000, None),
            (0o755, 1000, 100, None),
            (0o644, 1000, 100, None),
            (0o100_600, 0, 0, None),
            (0o775, 1000, 100, Some(Writable)),
            (0o757, 1000, 1000, Some(Writable)),
            (0o777, 1000, 1000, Some(Writable)),
            (0o666, 1000, 1000, Some(Writable)),
            (0o1777, 0, 0, Some(Writable)),
            (0o775, 0, 0, Some(Writable)),
            // The private group of the user.
            (0o775, 1000, 1000, None),
            (0o700, 1001, 1000, Some(ForeignOwner(1001))),
            (0o777, 1001, 1001, Some(ForeignOwner(1001))),
        ] {
            let access = Access { mode, owner, group };
            assert_eq!(access.problem(&user), expected, "{access:?} {mode:o}");
        }
    }

    #[test]
    fn the_warning_names_the_folder_or_the_file() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("it's");
        fs::create_dir(&home).unwrap();
        let file = home.join(".credentials.json");
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        // The command is in quotation marks that a shell reads.
        let command = |path: &Path| {
            let path = path.display().to_string().replace('\'', r"'\''");
            format!("run `chmod go-w '{path}'`")
        };
        set_mode(&home, 0o755);
        assert_eq!(warning(&home, &file), None);
        fs::write(&file, "{}").unwrap();
        set_mode(&file, 0o644);
        assert_eq!(warning(&home, &file), None);
        set_mode(&file, 0o666);
        let text = warning(&home, &file).unwrap();
        assert!(text.ends_with(&command(&file)), "{text}");
        set_mode(&home, 0o777);
        let text = warning(&home, &file).unwrap();
        assert!(text.ends_with(&command(&home)), "{text}");
        assert_eq!(warning(&home.join("nothing"), &file), None);
    }
}
