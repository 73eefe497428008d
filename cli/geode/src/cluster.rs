//! `geode cluster`: the members in the guides' words (primary, replica, observer), and moving leadership.

use crate::args::{ClusterArgs, ClusterCommand, ConnectArgs, Format};
use crate::{Failure, show};
use geode_types::Role;
use geode_wire::client::{ClusterView, MemberView};
use serde_json::{Value as Json, json};

pub(crate) async fn run(command: ClusterCommand) -> Result<(), Failure> {
    match command {
        ClusterCommand::Status(args) => status(&args.connect, args.format).await,
        ClusterCommand::Lag(args) => {
            let view = view(&args.connect).await?;
            print(args.format, lag_json(&view), || lag_text(&view))
        }
        ClusterCommand::Health { cluster, verbose } => health(&cluster, verbose).await,
        ClusterCommand::Failover { cluster, promote, .. } => failover(&cluster, promote.as_deref()).await,
        ClusterCommand::LastTransaction(args) => crate::admin::last_wal(&args).await,
        ClusterCommand::Events { cluster, kind } => crate::admin::events(&cluster, kind.as_deref()).await,
        ClusterCommand::Demote { cluster, member } => crate::admin::demote(&cluster, member.as_deref()).await,
    }
}

/// Prints members, roles and states.
pub(crate) async fn status(connect: &ConnectArgs, format: Format) -> Result<(), Failure> {
    let view = view(connect).await?;
    print(format, status_json(&view), || status_text(&view))
}

/// The cluster as its leader sees it.
pub(crate) async fn view(connect: &ConnectArgs) -> Result<ClusterView, Failure> {
    let client = connect.client()?;
    let view = client.cluster_seen_by_leader().await;
    client.close().await;
    Ok(view?)
}

/// As text or JSON.
pub(crate) fn print(format: Format, json: Json, text: impl FnOnce() -> String) -> Result<(), Failure> {
    match format {
        Format::Table => println!("{}", text()),
        Format::Json | Format::Jsonl => println!("{json}"),
        Format::Csv => {
            return Err(Failure::Message(
                "the cluster is printed as table or json, not as csv".to_owned(),
            ));
        }
    }
    Ok(())
}

async fn health(args: &ClusterArgs, verbose: bool) -> Result<(), Failure> {
    let view = view(&args.connect).await?;
    let checks = checks(&view);
    let json = json!({
        "cluster": view.cluster, "state": state(&view),
        "checks": checks.iter().map(|check| json!({"check": check.what, "ok": check.ok, "detail": check.detail})).collect::<Vec<_>>(),
    });
    print(args.format, json, || {
        let mut lines = vec![format!("Cluster {} is {}", view.cluster, state(&view))];
        lines.extend(checks.iter().filter(|check| verbose || !check.ok).map(|check| {
            format!(
                "  {} {}: {}",
                if check.ok { "ok  " } else { "FAIL" },
                check.what,
                check.detail
            )
        }));
        lines.join("\n")
    })?;
    if checks.iter().all(|check| check.ok) {
        Ok(())
    } else {
        Err(Failure::Message(format!("the cluster is {}", state(&view))))
    }
}

/// Moves leadership and says where it is then.
pub(crate) async fn failover(args: &ClusterArgs, promote: Option<&str>) -> Result<(), Failure> {
    let client = args.connect.client()?;
    let moved = client.transfer_leader(promote).await;
    client.close().await;
    let view = moved?;
    let leader = view
        .members
        .iter()
        .find(|member| Some(member.address.id) == view.leader);
    let name = leader.map_or("unknown", |leader| leader.address.name.as_str());
    print(args.format, json!({"primary": name, "term": view.term}), || {
        format!("The primary is {name}.")
    })
}

struct Check {
    what: &'static str,
    ok: bool,
    detail: String,
}

fn checks(view: &ClusterView) -> Vec<Check> {
    let leader = view
        .members
        .iter()
        .find(|member| Some(member.address.id) == view.leader);
    let offline: Vec<&str> = view
        .members
        .iter()
        .filter(|member| member.online == Some(false))
        .map(|member| member.address.name.as_str())
        .collect();
    let voters = view
        .members
        .iter()
        .filter(|member| matches!(member.role, Role::Leader | Role::Follower));
    let online = voters
        .clone()
        .filter(|member| member.online != Some(false))
        .count();
    let voters = voters.count();
    vec![
        Check {
            what: "a primary is elected",
            ok: leader.is_some(),
            detail: leader.map_or("none".to_owned(), |leader| {
                format!("{} in term {}", leader.address.name, view.term)
            }),
        },
        Check {
            what: "a majority is online",
            ok: online * 2 > voters,
            detail: format!("{online} of {voters} voters"),
        },
        Check {
            what: "every member is online",
            ok: offline.is_empty(),
            detail: if offline.is_empty() {
                "yes".to_owned()
            } else {
                format!("{} is not", offline.join(", "))
            },
        },
    ]
}

fn state(view: &ClusterView) -> &'static str {
    let checks = checks(view);
    match checks.iter().filter(|check| !check.ok).count() {
        0 => "healthy",
        _ if checks[..2].iter().all(|check| check.ok) => "degraded",
        _ => "unavailable",
    }
}

pub(crate) fn role(member: &MemberView) -> &'static str {
    match member.role {
        Role::Leader => "primary",
        Role::Follower => "replica",
        Role::Observer => "observer",
        Role::Joining => "joining",
    }
}

fn member_state(member: &MemberView) -> &'static str {
    match member.online {
        Some(true) => "online",
        Some(false) => "offline",
        None => "unknown",
    }
}

fn lag(member: &MemberView) -> String {
    match (member.role, member.lag_ms) {
        (Role::Leader, _) => "-".to_owned(),
        (_, Some(millis)) => format!("{millis}ms"),
        (_, None) => "unknown".to_owned(),
    }
}

fn status_text(view: &ClusterView) -> String {
    let rows = view.members.iter().map(|member| {
        vec![
            member.address.name.clone(),
            member.address.client.clone(),
            role(member).to_owned(),
            member_state(member).to_owned(),
            lag(member),
        ]
    });
    let table = show::table(&["ID", "Address", "Role", "State", "Lag"], rows);
    format!(
        "Cluster: {}\nState: {}\n\nNodes:\n{table}",
        view.cluster,
        state(view)
    )
}

fn status_json(view: &ClusterView) -> Json {
    let nodes: Vec<Json> = view.members.iter().map(member_json).collect();
    json!({
        "cluster": view.cluster, "cluster_id": view.cluster_id, "state": state(view), "term": view.term, "version": view.version,
        "nodes": nodes,
    })
}

fn lag_text(view: &ClusterView) -> String {
    let rows = view
        .members
        .iter()
        .filter(|member| member.role != Role::Leader)
        .map(|member| {
            let behind = member
                .lag_entries
                .map_or("unknown".to_owned(), |entries| entries.to_string());
            vec![
                member.address.name.clone(),
                role(member).to_owned(),
                lag(member),
                behind,
            ]
        });
    show::table(&["ID", "Role", "Lag", "Entries behind"], rows).to_string()
}

fn lag_json(view: &ClusterView) -> Json {
    let nodes: Vec<Json> = view.members.iter().map(member_json).collect();
    json!({"cluster": view.cluster, "nodes": nodes})
}

fn member_json(member: &MemberView) -> Json {
    let leads = member.role == Role::Leader;
    json!({
        "id": member.address.name, "node_id": member.address.id, "address": member.address.client, "role": role(member),
        "state": member_state(member),
        "lag_ms": if leads { Some(0) } else { member.lag_ms },
        "lag_entries": if leads { Some(0) } else { member.lag_entries },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::MemberId;
    use geode_wire::client::MemberAddress;

    fn member(id: u64, role: Role, online: bool) -> MemberView {
        let address = MemberAddress {
            id: MemberId(id),
            name: format!("geode-{id}"),
            client: format!("10.0.0.{id}:3141"),
            internal: String::new(),
        };
        let follows = role != Role::Leader;
        MemberView {
            address,
            role,
            online: Some(online),
            lag_entries: follows.then_some(3),
            lag_ms: follows.then_some(2),
        }
    }

    fn cluster(leader: Option<u64>, online: [bool; 3]) -> ClusterView {
        let role = |id| {
            if leader == Some(id) {
                Role::Leader
            } else {
                Role::Follower
            }
        };
        ClusterView {
            version: "0.1.0".into(),
            cluster: "social".into(),
            cluster_id: None,
            me: MemberId(1),
            leader: leader.map(MemberId),
            term: 4,
            members: (1..=3)
                .zip(online)
                .map(|(id, online)| member(id, role(id), online))
                .collect(),
        }
    }

    #[test]
    fn the_status_is_a_table_in_the_guides_words() {
        let expected = "\
Cluster: social
State: healthy

Nodes:
┌─────────┬───────────────┬─────────┬────────┬─────┐
│ ID      │ Address       │ Role    │ State  │ Lag │
├─────────┼───────────────┼─────────┼────────┼─────┤
│ geode-1 │ 10.0.0.1:3141 │ primary │ online │ -   │
│ geode-2 │ 10.0.0.2:3141 │ replica │ online │ 2ms │
│ geode-3 │ 10.0.0.3:3141 │ replica │ online │ 2ms │
└─────────┴───────────────┴─────────┴────────┴─────┘";
        assert_eq!(status_text(&cluster(Some(1), [true; 3])), expected);
    }

    #[test]
    fn the_guides_health_script_finds_its_fields() {
        let json = status_json(&cluster(Some(1), [true; 3]));
        let nodes = json["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes.iter().filter(|node| node["role"] == "primary").count(), 1);
        let lags = lag_json(&cluster(Some(1), [true; 3]));
        assert_eq!(lags["nodes"][1]["lag_ms"], 2);
        assert_eq!(lags["nodes"][0]["lag_ms"], 0);
    }

    #[test]
    fn one_lost_member_degrades_a_cluster_and_two_or_no_leader_make_it_unavailable() {
        let cases = [
            (Some(1), [true, true, true], "healthy"),
            (Some(1), [true, false, true], "degraded"),
            (Some(1), [true, false, false], "unavailable"),
            (None, [true, true, true], "unavailable"),
        ];
        for (leader, online, expected) in cases {
            assert_eq!(state(&cluster(leader, online)), expected, "{leader:?} {online:?}");
        }
    }
}
