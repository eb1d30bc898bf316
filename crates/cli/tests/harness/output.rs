//! The result of a run: exit code, stdout, stderr and peak memory, with lookups and assertions.

use serde_json::Value;

use super::documents;

#[derive(Debug)]
pub struct Finished {
    /// The arguments of the program, or of its wrapper.
    pub arguments: Vec<String>,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Peak memory in MB; 0 if the system does not report it.
    pub peak_mb: f64,
}

impl Finished {
    /// stdout followed by stderr.
    pub fn all_output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// stdout as one JSON document, which conforms to its schema.
    pub fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not a JSON document: {error}\n{self:#?}"));
        documents::check(&self.arguments, &document);
        document
    }

    /// The server with this name in the JSON report.
    pub fn server(&self, name: &str) -> Value {
        let report = self.json();
        let servers = report["servers"].as_array().unwrap();
        let found = servers.iter().find(|server| server["name"] == name);
        found
            .unwrap_or_else(|| panic!("no server `{name}` in {report:#}"))
            .clone()
    }

    /// The table line of this server.
    pub fn line(&self, name: &str) -> &str {
        let mut lines = self.stdout.lines();
        lines
            .find(|line| line.split_whitespace().nth(1) == Some(name))
            .unwrap_or_else(|| panic!("no line for `{name}`\n{}", self.stdout))
    }

    /// Asserts the exit code and [clean output](Self::assert_clean).
    pub fn assert_exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.assert_clean()
    }

    /// Asserts that the program did not panic and wrote no control characters other than line ends.
    pub fn assert_clean(self) -> Self {
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        for output in [&self.stdout, &self.stderr] {
            let is_control =
                |character: char| character.is_control() && character != '\n' && character != '\r';
            assert!(!output.contains(is_control), "{self:#?}");
        }
        self
    }
}
