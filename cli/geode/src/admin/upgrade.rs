//! `geode admin upgrade MEMBER --version V`, the step of the guides' upgrade script for one member. This command starts no server: it says whether the
//! member may be stopped now, waits until somebody has started it with the other version, and until it lacks nothing.

use super::{named, print};
use crate::Failure;
use crate::args::{ClusterArgs, ConnectArgs};
use crate::cluster::view;
use geode_types::Role;
use geode_wire::client::{ClusterView, MemberView};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const POLL: Duration = Duration::from_secs(1);

pub(super) async fn run(
    args: &ClusterArgs,
    member: &str,
    version: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let mut told = false;
    loop {
        let now = view(&args.connect).await?;
        let found = named(&now, member)?;
        let runs = version_of(&args.connect, &found.address.client).await;
        let is_new = runs.as_deref() == Some(version);
        if is_new && (found.role == Role::Leader || found.lag_entries == Some(0)) {
            return print(args.format, json!({"member": member, "version": version}), || {
                format!("{member} runs {version} and lacks nothing.")
            });
        }
        if !is_new && !told {
            may_stop(&now, found)?;
            eprintln!(
                "{member} runs {}: it may be stopped now. Start it with {version}; this command waits until it has caught up",
                runs.as_deref().unwrap_or("nothing")
            );
            told = true;
        }
        if Instant::now() >= deadline {
            return Err(Failure::Message(format!(
                "{member} runs {} after {} s, not {version}",
                runs.as_deref().unwrap_or("nothing"),
                timeout.as_secs()
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What the member itself says, when it answers.
async fn version_of(connect: &ConnectArgs, address: &str) -> Option<String> {
    let connect = ConnectArgs {
        host: vec![address.to_owned()],
        ..connect.clone()
    };
    let client = connect.client().ok()?;
    let own = client.cluster().await;
    client.close().await;
    own.ok().map(|own| own.version)
}

/// Nobody misses the member: another one leads, and the other voters are a majority that lacks nothing.
fn may_stop(view: &ClusterView, member: &MemberView) -> Result<(), Failure> {
    let name = &member.address.name;
    let refuse = |why: String| Err(Failure::Message(why));
    let voters: Vec<&MemberView> = view
        .members
        .iter()
        .filter(|other| matches!(other.role, Role::Leader | Role::Follower))
        .collect();
    if member.role == Role::Leader && voters.len() > 1 {
        return refuse(format!(
            "{name} is the primary, which goes last: geode admin failover {name} first"
        ));
    }
    let is_sound = |other: &&&MemberView| {
        other.role == Role::Leader || (other.online == Some(true) && other.lag_entries == Some(0))
    };
    let others = voters
        .iter()
        .filter(|other| other.address.id != member.address.id);
    let sound = others.filter(is_sound).count();
    let is_needed = matches!(member.role, Role::Leader | Role::Follower) && voters.len() > 1;
    if is_needed && sound * 2 <= voters.len() {
        return refuse(format!(
            "without {name} only {sound} of {} voters have everything, which is no majority: geode cluster status, then again",
            voters.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::MemberId;
    use geode_wire::client::MemberAddress;

    fn cluster(lags: &[u64]) -> ClusterView {
        let member = |(number, lag): (usize, &u64)| MemberView {
            address: MemberAddress {
                id: MemberId(number as u64),
                name: format!("geode-{number}"),
                client: String::new(),
                internal: String::new(),
            },
            role: if number == 0 { Role::Leader } else { Role::Follower },
            online: Some(true),
            lag_entries: (number > 0).then_some(*lag),
            lag_ms: None,
        };
        ClusterView {
            version: "0.1.3".into(),
            cluster: "a".into(),
            cluster_id: None,
            me: MemberId(0),
            leader: Some(MemberId(0)),
            term: 1,
            members: lags.iter().enumerate().map(member).collect(),
        }
    }

    fn refusal(view: &ClusterView, member: usize) -> Option<String> {
        match may_stop(view, &view.members[member]) {
            Err(Failure::Message(why)) => Some(why),
            _ => None,
        }
    }

    #[test]
    fn a_follower_may_stop_while_the_others_are_a_majority_and_the_leader_goes_last() {
        assert_eq!(refusal(&cluster(&[0, 0, 0]), 2), None);
        // One that lags may stop itself, and nobody else.
        assert_eq!(refusal(&cluster(&[0, 0, 7]), 2), None);
        assert!(refusal(&cluster(&[0, 0, 7]), 1).is_some_and(|why| why.contains("no majority")));
        assert!(refusal(&cluster(&[0, 0, 0]), 0).is_some_and(|why| why.contains("failover geode-0 first")));
        assert_eq!(
            refusal(&cluster(&[0]), 0),
            None,
            "there is nobody to hand over to"
        );
    }
}
