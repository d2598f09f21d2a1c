//! One case: a folder below `tests/differential/cases/<category>/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::context;
use crate::repository;

/// A case on disk:
///
/// - `Dockerfile`: what is built;
/// - `context` (optional): the build context besides the Dockerfile, see [`context`];
/// - `arguments` (optional): more arguments for `build`, one a line; `{context:name}` is the folder of a context,
///   `{registry}` the registry of the base images;
/// - `peer.json`: what Docker's BuildKit made of it;
/// - `agreed-difference` (optional): why touchmark does otherwise.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name of the folder above it.
    pub category: String,
    /// Name of its folder.
    pub name: String,
    dir: PathBuf,
}

impl Case {
    /// All cases whose `category/name` holds `filter`, by name.
    #[must_use]
    pub fn all(filter: &str) -> Vec<Self> {
        let root = repository().join("tests/differential/cases");
        let mut cases = Vec::new();
        for category in folders(&root) {
            for name in folders(&root.join(&category)) {
                let dir = root.join(&category).join(&name);
                cases.push(Self { category: category.clone(), name, dir });
            }
        }
        cases.retain(|case| case.title().contains(filter));
        cases
    }

    /// `category/name`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.category, self.name)
    }

    /// Writes its contexts below `work`, where [`context::folder`] says.
    pub fn write_contexts(&self, work: &Path) {
        let dockerfile = fs::read(self.dir.join("Dockerfile")).expect("a case has a Dockerfile");
        let text = self.optional("context").unwrap_or_default();
        context::write(work, &dockerfile, &text)
            .unwrap_or_else(|fault| panic!("{}/context: {fault}", self.title()));
    }

    /// Its own arguments.
    #[must_use]
    pub fn arguments(&self, work: &Path, registry: &str) -> Vec<String> {
        let text = self.optional("arguments").unwrap_or_default();
        let fill = |line: &str| -> String {
            let line = line.replace("{registry}", registry);
            match line
                .split_once("{context:")
                .and_then(|(b, rest)| Some((b, rest.split_once('}')?)))
            {
                Some((before, (name, after))) => {
                    format!("{before}{}{after}", context::folder(work, name).display())
                }
                None => line,
            }
        };
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(fill).collect()
    }

    /// What was recorded; `None` before that.
    #[must_use]
    pub fn recorded(&self) -> Option<Value> {
        let text = self.optional("peer.json")?;
        Some(serde_json::from_str(&text).expect("peer.json is JSON"))
    }

    /// Keeps what the peer made.
    pub fn keep(&self, record: &Value) {
        let mut text = serde_json::to_string_pretty(record).expect("JSON");
        text.push('\n');
        fs::write(self.dir.join("peer.json"), text).expect("the case's folder");
    }

    /// Why a difference is agreed upon.
    #[must_use]
    pub fn agreed_difference(&self) -> Option<String> {
        self.optional("agreed-difference").map(|text| text.trim().to_owned())
    }

    fn optional(&self, name: &str) -> Option<String> {
        let path = self.dir.join(name);
        path.exists().then(|| fs::read_to_string(&path).expect("a file of the case in UTF-8"))
    }
}

fn folders(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
