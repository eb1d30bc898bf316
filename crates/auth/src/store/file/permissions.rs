//! Whether other users can change the home folder, a folder above it, or the credential file. It reads their metadata and no content.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mcp_startup_core::shell_word;

/// Warns if other users can change the home folder or the credential file, or can replace the home folder because they can change
/// a folder above it, such as the user's own home.
pub fn warning(home: &Path, file: &Path) -> Option<String> {
    // The folder itself can be a symbolic link. A file that does not exist can't be changed.
    let home_metadata = fs::metadata(home).ok()?;
    let user = rustix::process::geteuid().as_raw();
    let mut trusted = vec![0, user];
    if user == 0 {
        // As with `sudo`: root uses the folder of a user.
        trusted.push(home_metadata.uid());
    }
    let problem_of = |metadata: fs::Metadata| Access::from(&metadata).problem(&trusted);
    let home_problem = problem_of(home_metadata).map(|problem| (home, problem));
    let file_problem = || {
        let metadata = fs::symlink_metadata(file).ok()?;
        Some((file, problem_of(metadata)?))
    };
    let target = fs::canonicalize(home).ok();
    let above = || {
        // Those above a symbolic link, and those above the folder that it leads to.
        let mut above = [Some(home), target.as_deref()]
            .into_iter()
            .flatten()
            .flat_map(|folder| folder.ancestors().skip(1));
        above.find_map(|folder| {
            let access = Access::from(&fs::metadata(folder).ok()?);
            Some((folder, access.problem_above()?))
        })
    };
    let (path, problem) = home_problem.or_else(file_problem).or_else(above)?;
    let path = path.display();
    Some(match problem {
        Problem::Writable => format!(
            "other users can change {path}, which holds your sign-ins: run `chmod go-w {word}`",
            word = shell_word(&path.to_string())
        ),
        Problem::ForeignOwner(owner) => format!(
            "{path}, which holds your sign-ins, belongs to another user (user ID {owner}), who can change them: find out why"
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

    /// How other users can replace what is in a folder above the sign-ins. If the folder is sticky, as `/tmp`, only the owner of
    /// an entry can. The owner of the folder is not checked: in a container, that of `/` can be any user.
    fn problem_above(self) -> Option<Problem> {
        let is_sticky = self.mode & 0o1000 != 0;
        self.problem(&[self.owner]).filter(|_| !is_sticky)
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
    fn a_folder_above_the_sign_ins_is_a_problem_if_other_users_can_replace_them() {
        for (mode, owner, group, expected) in [
            (0o755, 0, 0, false),
            (0o1777, 0, 0, false),
            (0o755, 65534, 65534, false),
            (0o775, 1000, 1000, false),
            (0o777, 0, 0, true),
            (0o775, 1000, 100, true),
            (0o702, 1000, 1000, true),
        ] {
            let access = Access { mode, owner, group };
            let expected = expected.then_some(Problem::Writable);
            assert_eq!(access.problem_above(), expected, "{access:?} {mode:o}");
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
        // The folder above, and the one above the folder that a link leads to.
        set_mode(&home, 0o755);
        set_mode(&file, 0o600);
        let above = root.path();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(&home, &link).unwrap();
        for (mode, is_a_problem) in [(0o755, false), (0o777, true), (0o1777, false)] {
            set_mode(above, mode);
            let expected =
                is_a_problem.then(|| format!("other users can change {}", above.display()));
            for home in [&home, &link] {
                let text = warning(home, &file);
                let start = text.as_deref().and_then(|text| text.split_once(','));
                assert_eq!(
                    start.map(|(start, _)| start),
                    expected.as_deref(),
                    "{mode:o} {text:?}"
                );
            }
        }
    }
}
