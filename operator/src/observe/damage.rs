//! Whether a server has ended because its own files are damaged.

use geode_types::EXIT_DAMAGED;
use k8s_openapi::api::core::v1::ContainerStatus;

/// What the server said when it ended, if that was damage and it does not run again.
pub(super) fn damage(server: &ContainerStatus) -> Option<String> {
    let state = server.state.as_ref()?;
    if state.running.is_some() {
        return None;
    }
    // While it waits for its next start, how it ended is its last state.
    let ended = state
        .terminated
        .as_ref()
        .or_else(|| server.last_state.as_ref()?.terminated.as_ref())?;
    if ended.exit_code != i32::from(EXIT_DAMAGED) {
        return None;
    }
    let message = ended.message.as_deref().unwrap_or_default().trim();
    // What a person would have to do follows the semicolon.
    let found = message.split_once(';').map_or(message, |(found, _)| found);
    Some(if found.is_empty() {
        format!("the server ended with exit code {EXIT_DAMAGED}")
    } else {
        found.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(state: Value, last: Value) -> Option<String> {
        let server = json!({
            "name": "geode", "image": "i", "imageID": "i", "ready": false, "restartCount": 1,
            "state": state, "lastState": last,
        });
        damage(&serde_json::from_value(server).unwrap())
    }

    fn ended(code: u8) -> Value {
        json!({ "terminated": { "exitCode": code, "message": "wal/3 is damaged at byte 7; remove it" } })
    }

    #[test]
    fn only_the_last_end_of_a_server_that_does_not_run_says_that_its_files_are_damaged() {
        let backing_off = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let found = Some("wal/3 is damaged at byte 7".to_owned());
        assert_eq!(told(ended(EXIT_DAMAGED), json!({})), found);
        assert_eq!(told(backing_off.clone(), ended(EXIT_DAMAGED)), found);
        assert_eq!(told(backing_off, ended(1)), None);
        // What was before the last end counts for nothing.
        assert_eq!(told(ended(1), ended(EXIT_DAMAGED)), None);
        let running = json!({ "running": { "startedAt": "2026-03-01T12:00:00Z" } });
        assert_eq!(told(running, ended(EXIT_DAMAGED)), None);
    }
}
