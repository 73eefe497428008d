//! The test programs that cargo builds, to be run by us: cargo runs one after the other, although many of them wait most of the time.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// As cargo calls its target.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Its package, in which cargo would run it.
    folder: PathBuf,
}

impl Program {
    /// Ready to be run as cargo runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
}

/// Builds tests; what there is to run then.
pub(crate) fn build(test: &mut Command) -> Result<Vec<Program>> {
    let built = test
        .args(["--no-run", "--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("build the tests")?;
    if !built.status.success() {
        bail!("the tests cannot be built: {}", built.status);
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    Ok(messages.lines().filter_map(program).collect())
}

/// What a message of cargo says about a test program.
fn program(message: &str) -> Option<Program> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(Program {
        name: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
        folder: manifest.parent()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_cargo_builds_only_tests_are_run() {
        let message = |test: bool, executable: &str| {
            program(&format!(
                r#"{{"manifest_path":"/p/Cargo.toml","target":{{"name":"a"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            ))
        };
        let expected = Program {
            name: "a".to_owned(),
            path: "/t/a-1".into(),
            folder: "/p".into(),
        };
        assert_eq!(message(true, r#""/t/a-1""#), Some(expected));
        assert_eq!(message(false, r#""/t/a""#), None);
        assert_eq!(message(true, "null"), None);
        assert_eq!(program(r#"{"reason":"build-finished"}"#), None);
    }
}
