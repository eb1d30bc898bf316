//! Where a client keeps its files: a small language for paths, and the folders that it names.
//!
//! A path begins with a place in angle brackets, followed by its segments. A segment may contain one `*`.
//!
//! | place | folder |
//! | --- | --- |
//! | `<home>` | the user's home folder |
//! | `<config>` | where the system keeps the settings of applications: `$XDG_CONFIG_HOME` or `~/.config`, `~/Library/Application Support`, `%APPDATA%` |
//! | `<xdg-config>`, `<xdg-data>` | `$XDG_CONFIG_HOME` or `~/.config`, `$XDG_DATA_HOME` or `~/.local/share`, on every system |
//! | `<local>` | `%LOCALAPPDATA%` |
//! | `<folder>` | the current folder |
//! | `<up>` | the current folder and the folders around it, up to the root of the repository; the root first |
//! | `<$NAME>` | the path in an environment variable, if it is absolute |
//! | `<$NAME or FOLDER>` | the path in an environment variable; if it is not set or relative, a folder in the home folder |
//! | `</>` | the root of the file system, or of the drive |

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::machine::{Machine, System};
use crate::environment::{is_absolute, non_blank};

/// The folders that paths begin with.
pub(super) struct Places<'a> {
    pub machine: &'a dyn Machine,
    pub folder: &'a Path,
    /// See [`renew_budget`](Self::renew_budget).
    pub budget: Cell<usize>,
    /// See [`project_root`](Self::project_root).
    root: OnceCell<PathBuf>,
    /// The part of the current entry that comes from the project. See
    /// [`ClientServer::from_project`](super::ClientServer::from_project).
    from_project: Cell<Option<String>>,
    /// The client's variables with relative paths. See [`take_relative`](Self::take_relative).
    relative: RefCell<BTreeSet<String>>,
}

/// How many bytes may replace the variables of one file, and be read for them: 16 MiB.
const BUDGET: usize = 16 * 1024 * 1024;

impl<'a> Places<'a> {
    pub fn new(machine: &'a dyn Machine, folder: &'a Path) -> Self {
        Self {
            machine,
            folder,
            budget: Cell::new(BUDGET),
            root: OnceCell::new(),
            from_project: Cell::new(None),
            relative: RefCell::default(),
        }
    }

    /// Allows the texts of one more file to grow by the values of their variables.
    pub fn renew_budget(&self) {
        self.budget.set(BUDGET);
    }

    /// The path in a variable of a client. A relative path counts as not set, because it may lead into a project, whose files would then
    /// count as the user's.
    pub fn variable(&self, name: &str) -> Option<PathBuf> {
        let found = self.folder_of(name);
        if found.is_none() && non_blank(self.machine.environment(), name).is_some() {
            self.relative.borrow_mut().insert(name.to_owned());
        }
        found
    }

    /// Returns the variables of clients that were ignored since the last call because they have relative paths.
    pub fn take_relative(&self) -> BTreeSet<String> {
        self.relative.take()
    }

    /// The absolute path in a variable.
    fn folder_of(&self, name: &str) -> Option<PathBuf> {
        let path = non_blank(self.machine.environment(), name).map(PathBuf::from);
        path.filter(|path| is_absolute(path))
    }

    /// The user's home folder. A relative path counts as not set, because it may lead into a project.
    pub fn home(&self) -> Option<PathBuf> {
        let folder = |name| self.folder_of(name);
        match self.machine.system() {
            System::Windows => folder("USERPROFILE").or_else(|| folder("HOME")),
            System::Linux | System::MacOs => folder("HOME"),
        }
    }

    fn below_home(&self, variable: &str, default: &str) -> Option<PathBuf> {
        let folder = self.folder_of(variable);
        folder.or_else(|| Some(self.home()?.join(default)))
    }

    /// The primary checkout of the repository, if the current folder is in a linked worktree. Git's own files name each other
    /// in both directions: anyone can write a `.git` file that names another repository, but not the file of the worktree in there.
    pub fn primary_checkout(&self) -> Option<PathBuf> {
        let root = self.project_root();
        let read = |path: &Path| {
            let bytes = self.machine.read(path, 4096).ok()?;
            String::from_utf8(bytes).ok()
        };
        let file = read(&root.join(".git"))?;
        let worktree = from(root, file.strip_prefix("gitdir:")?.trim());
        let worktrees = worktree
            .parent()
            .filter(|path| path.ends_with("worktrees"))?;
        let git = worktrees.parent().filter(|path| path.ends_with(".git"))?;
        let back = read(&worktree.join("gitdir"))?;
        let is_registered = from(&worktree, back.trim()) == from(root, ".git");
        is_registered.then(|| git.parent().map(Path::to_owned))?
    }

    /// The root of the repository that the current folder is in. Without a repository, the current folder.
    pub fn project_root(&self) -> &Path {
        self.root.get_or_init(|| {
            let mut folders = self.folder.ancestors();
            let root = folders.find(|folder| self.machine.exists(&folder.join(".git")));
            root.unwrap_or(self.folder).to_owned()
        })
    }

    /// Whether a path leads into the current folder or its repository. Nothing in the user's home folder does if
    /// the current folder contains it.
    pub fn is_in_project(&self, path: &Path) -> bool {
        let home = self.home();
        let is_of_home = |folder: &Path| {
            let home = home.as_ref();
            home.is_some_and(|home| home.starts_with(folder) && path.starts_with(home))
        };
        let contains = |folder: &Path| {
            path.starts_with(folder) && folder.parent().is_some() && !is_of_home(folder)
        };
        is_absolute(path) && (contains(self.folder) || contains(self.project_root()))
    }

    /// Notes that the entry that is being read takes something from the current project.
    pub fn note_from_project(&self, what: String) {
        self.from_project.set(Some(what));
    }

    /// Returns what was noted since the last call.
    pub fn take_from_project(&self) -> Option<String> {
        self.from_project.take()
    }

    fn base(&self, place: &str) -> Vec<PathBuf> {
        let system = self.machine.system();
        let one = match place {
            "home" => self.home(),
            "config" => match system {
                System::Linux => self.below_home("XDG_CONFIG_HOME", ".config"),
                System::MacOs => self
                    .home()
                    .map(|home| home.join("Library/Application Support")),
                System::Windows => self.below_home("APPDATA", "AppData/Roaming"),
            },
            "xdg-config" => self.below_home("XDG_CONFIG_HOME", ".config"),
            "xdg-data" => self.below_home("XDG_DATA_HOME", ".local/share"),
            "local" => self.below_home("LOCALAPPDATA", "AppData/Local"),
            "folder" => Some(self.folder.to_owned()),
            "up" => {
                let root = self.project_root();
                let folders = self.folder.ancestors();
                let mut folders: Vec<_> = folders
                    .take_while(|folder| folder.starts_with(root))
                    .map(Path::to_owned)
                    .collect();
                folders.reverse();
                return folders;
            }
            "/" => Some(PathBuf::from(match system {
                System::Windows => "C:\\",
                System::Linux | System::MacOs => "/",
            })),
            _ => place.strip_prefix('$').and_then(|name| {
                let (name, default) = match name.split_once(" or ") {
                    Some((name, default)) => (name, Some(default)),
                    None => (name, None),
                };
                match (self.variable(name), default) {
                    (None, Some(default)) => Some(self.home()?.join(default)),
                    (found, _) => found,
                }
            }),
        };
        one.into_iter().collect()
    }

    /// Returns the paths that exist or may exist: a path without `*` is returned whether it exists or not.
    pub fn paths(&self, template: &str) -> Vec<PathBuf> {
        let (place, rest) = template
            .strip_prefix('<')
            .and_then(|text| text.split_once('>'))
            .unwrap_or(("folder", template));
        let mut paths = self.base(place);
        for segment in rest.split('/').filter(|segment| !segment.is_empty()) {
            paths = match segment.split_once('*') {
                None => paths.iter().map(|path| path.join(segment)).collect(),
                Some((start, end)) => {
                    let folders = paths.iter();
                    folders
                        .flat_map(|folder| self.machine.list(folder))
                        .filter(|path| {
                            let name = path.file_name().unwrap_or_default().to_string_lossy();
                            name.len() >= start.len() + end.len()
                                && name.starts_with(start)
                                && name.ends_with(end)
                        })
                        .collect()
                }
            };
        }
        paths
    }
}

/// A path that is relative to a folder, without `.` and `..`.
fn from(folder: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    let mut whole = match is_absolute(path) {
        true => PathBuf::new(),
        false => folder.to_owned(),
    };
    for component in path.components() {
        match component {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            component => whole.push(component),
        }
    }
    whole
}
