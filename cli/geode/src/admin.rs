//! `geode admin`: what the guides' procedures ask of a running cluster. Each command is a statement, a look at the cluster, or a change of
//! leadership; what the answers mean is decided here, in functions of what was seen.

mod local;
mod upgrade;

use crate::Failure;
use crate::args::{AdminCommand, ClusterArgs, ConnectArgs};
use crate::cluster::{self, failover, print, role, view};
use geode_client::{QueryResult, ReadMode, Statement};
use geode_types::{Lsn, Role, Value, to_json};
use geode_wire::client::{ClusterView, MemberView};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two looks while something is waited for.
const POLL: Duration = Duration::from_millis(100);

pub(crate) async fn run(command: AdminCommand) -> Result<(), Failure> {
    match command {
        AdminCommand::Status(args) => status(&args).await,
        AdminCommand::ClusterStatus(args) => cluster::status(&args.connect, args.format).await,
        AdminCommand::ReplicationLag(args) => replication_lag(&args).await,
        AdminCommand::LastWal(args) => last_wal(&args).await,
        AdminCommand::WalStatus(args) => wal_status(&args).await,
        AdminCommand::Checkpoint { cluster, name } => checkpoint(&cluster, name).await,
        AdminCommand::WaitForSync {
            cluster,
            member,
            target,
            timeout,
        } => wait_for_sync(&cluster, member.or(target), timeout).await,
        AdminCommand::Failover { cluster, from, to } => {
            let view = view(&cluster.connect).await?;
            leads(&view, from.as_deref())?;
            failover(&cluster, to.as_deref()).await
        }
        AdminCommand::Promote {
            cluster,
            member,
            accept_writes,
            force,
            accept_data_loss,
        } => {
            let forced = force || accept_data_loss;
            promote(&cluster, member, accept_writes, forced).await
        }
        AdminCommand::Demote { cluster, member } => demote(&cluster, member.as_deref()).await,
        AdminCommand::Backup {
            create,
            include_wal,
            include_config,
        } => local::backup(create, include_wal, include_config).await,
        AdminCommand::Restore(args) => local::restore(args).await,
        AdminCommand::Upgrade {
            cluster,
            member,
            version,
            timeout,
        } => upgrade::run(&cluster, &member, &version, timeout).await,
        AdminCommand::ReadOnly(args) => set_read_only(&args, true).await,
        AdminCommand::SetReadOnly(args) => {
            let cluster = ClusterArgs {
                connect: args.connect,
                format: args.format,
            };
            set_read_only(&cluster, args.on).await
        }
    }
}

/// One statement, answered by the very member at --host when there is one.
async fn ask(connect: &ConnectArgs, text: &str, read: ReadMode) -> Result<QueryResult, Failure> {
    let client = connect.client()?;
    let statement = Statement::new(text).read(read);
    let answer = match connect.pinned() {
        Some(endpoint) if read == ReadMode::Local => client.execute_on(endpoint, statement).await,
        _ => client.execute(statement).await,
    };
    client.close().await;
    Ok(answer?)
}

/// The cluster as the member at --host sees it.
async fn own_view(connect: &ConnectArgs) -> Result<ClusterView, Failure> {
    let client = connect.client()?;
    let view = client.cluster().await;
    client.close().await;
    Ok(view?)
}

async fn status(args: &ClusterArgs) -> Result<(), Failure> {
    let view = own_view(&args.connect).await?;
    let lsn = applied(&args.connect).await?;
    let json = status_json(&view, lsn)?;
    print(args.format, json.clone(), || lines(&json))
}

fn status_json(view: &ClusterView, lsn: Lsn) -> Result<Json, Failure> {
    let name = |id| {
        let member = view.members.iter().find(|member| Some(member.address.id) == id);
        member.map(|member| member.address.name.clone())
    };
    let me = me(view)?;
    Ok(json!({
        "member": me.address.name, "address": me.address.client, "role": role(me), "version": view.version, "cluster": view.cluster,
        "primary": name(view.leader), "term": view.term, "lsn": lsn.to_string(),
    }))
}

/// `key: value`, a line each.
fn lines(json: &Json) -> String {
    let fields = json.as_object().into_iter().flatten();
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => "unknown".to_owned(),
        other => other.to_string(),
    };
    let lines: Vec<String> = fields
        .map(|(key, value)| format!("{key}: {}", text(value)))
        .collect();
    lines.join("\n")
}

fn me(view: &ClusterView) -> Result<&MemberView, Failure> {
    let me = view.members.iter().find(|member| member.address.id == view.me);
    me.ok_or_else(|| Failure::Message("this member belongs to no cluster yet".to_owned()))
}

/// The last LSN that the member has applied.
async fn applied(connect: &ConnectArgs) -> Result<Lsn, Failure> {
    let answer = ask(connect, "RETURN 1", ReadMode::Local).await?;
    answer
        .lsn
        .ok_or_else(|| Failure::Message("the server did not say how far it is".to_owned()))
}

/// Prints the last LSN that the member has applied.
pub(crate) async fn last_wal(args: &ClusterArgs) -> Result<(), Failure> {
    let lsn = applied(&args.connect).await?.to_string();
    print(args.format, json!({ "lsn": lsn }), || lsn.clone())
}

async fn wal_status(args: &ClusterArgs) -> Result<(), Failure> {
    let answer = ask(
        &args.connect,
        "SELECT * FROM system.wal_archiving_status",
        ReadMode::Local,
    )
    .await?;
    let mut json = Map::new();
    json.insert(
        "last_lsn".to_owned(),
        json!(applied(&args.connect).await?.to_string()),
    );
    for row in &answer.rows {
        json.extend(answer.columns.iter().cloned().zip(row.iter().map(to_json)));
    }
    let json = Json::Object(json);
    print(args.format, json.clone(), || lines(&json))
}

/// Makes another member the primary.
pub(crate) async fn demote(args: &ClusterArgs, member: Option<&str>) -> Result<(), Failure> {
    leads(&view(&args.connect).await?, member)?;
    failover(args, None).await
}

/// Prints what the member has seen of its cluster's past, in the guides' columns.
pub(crate) async fn events(args: &ClusterArgs, kind: Option<&str>) -> Result<(), Failure> {
    let text = "SELECT timestamp, type, old, new, reason FROM system.cluster_events";
    let answer = ask(&args.connect, text, ReadMode::Local).await?;
    let rows: Vec<Vec<Json>> = answer
        .rows
        .iter()
        .map(|row| row.iter().map(event_cell).collect::<Vec<_>>())
        .filter(|row| kind.is_none_or(|kind| row.get(1) == Some(&json!(kind))))
        .collect();
    let objects = rows.iter().map(|row| {
        let fields = answer.columns.iter().cloned().zip(row.iter().cloned());
        Json::Object(fields.collect())
    });
    let json = json!({"events": objects.collect::<Vec<_>>()});
    print(args.format, json, || {
        let cell = |value: &Json| value.as_str().unwrap_or("-").to_owned();
        let lines = rows.iter().map(|row| {
            // The type is that of the flag, when there is one.
            let shown = row
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != 1 || kind.is_none());
            shown.map(|(_, value)| cell(value)).collect::<Vec<_>>()
        });
        let all = ["Timestamp", "Type", "Old", "New", "Reason"];
        let header: Vec<&str> = all
            .into_iter()
            .filter(|name| *name != "Type" || kind.is_none())
            .collect();
        crate::show::table(&header, lines).to_string()
    })
}

/// A time is a text here, whatever it is in a result.
fn event_cell(value: &Value) -> Json {
    match value {
        Value::Temporal(at) => json!(at.to_string()),
        other => to_json(other),
    }
}

async fn replication_lag(args: &ClusterArgs) -> Result<(), Failure> {
    let view = view(&args.connect).await?;
    let lag = lag_seconds(&view)?;
    print(args.format, json!({ "lag_seconds": lag }), || lag.to_string())
}

/// The largest lag of a replica. One that the leader has not heard has no number, which is an error: no number would be right.
fn lag_seconds(view: &ClusterView) -> Result<u64, Failure> {
    let mut largest = 0;
    for member in view.members.iter().filter(|member| member.role != Role::Leader) {
        let lag = member.lag_ms.ok_or_else(|| {
            Failure::Message(format!(
                "how far {} is behind is not known: {}",
                member.address.name,
                if view.leader.is_some() {
                    "the primary has not heard from it"
                } else {
                    "no primary is elected"
                }
            ))
        })?;
        largest = largest.max(lag / 1000);
    }
    Ok(largest)
}

async fn checkpoint(args: &ClusterArgs, name: Option<String>) -> Result<(), Failure> {
    let name = name.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        format!("checkpoint-{}", now.unwrap_or_default().as_secs())
    });
    let text = format!("CREATE CHECKPOINT {}", quoted(&name));
    let answer = ask(&args.connect, &text, ReadMode::Linearizable).await?;
    let lsn = answer.lsn.map(|lsn| lsn.to_string());
    print(args.format, json!({"checkpoint": name, "lsn": lsn}), || {
        format!("Checkpoint {name} at {}.", lsn.as_deref().unwrap_or("unknown"))
    })
}

/// A name as a GQL string.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

async fn wait_for_sync(args: &ClusterArgs, member: Option<String>, timeout: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    loop {
        let view = view(&args.connect).await?;
        let behind = behind(&view, member.as_deref())?;
        if behind.is_empty() {
            let who = member.as_deref().unwrap_or("every member");
            return print(args.format, json!({"synced": true, "member": member}), || {
                format!("In sync: {who}.")
            });
        }
        if Instant::now() >= deadline {
            return Err(Failure::Message(format!(
                "not in sync after {} s: {}",
                timeout.as_secs(),
                behind.join(", ")
            )));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The members that lack something, each with how much.
fn behind(view: &ClusterView, member: Option<&str>) -> Result<Vec<String>, Failure> {
    if let Some(name) = member {
        named(view, name)?;
    }
    if view.leader.is_none() {
        return Ok(vec!["no primary is elected".to_owned()]);
    }
    let waited_for = view
        .members
        .iter()
        .filter(|other| other.role != Role::Leader && member.is_none_or(|name| other.address.name == name));
    Ok(waited_for
        .filter(|other| other.lag_entries != Some(0))
        .map(|other| match other.lag_entries {
            Some(entries) => format!("{} lacks {entries} entries", other.address.name),
            None => format!("{} has not been heard", other.address.name),
        })
        .collect())
}

fn named<'a>(view: &'a ClusterView, name: &str) -> Result<&'a MemberView, Failure> {
    let found = view.members.iter().find(|member| member.address.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = view
            .members
            .iter()
            .map(|member| member.address.name.as_str())
            .collect();
        Failure::Message(format!(
            "no member is called {name}; members: {}",
            names.join(", ")
        ))
    })
}

/// The member leads, if one is named: a procedure that is repeated must not move leadership twice.
fn leads(view: &ClusterView, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else { return Ok(()) };
    let member = named(view, name)?;
    if view.leader == Some(member.address.id) {
        return Ok(());
    }
    Err(Failure::Message(format!(
        "{name} is not the primary, so nothing was done; geode cluster status shows who is"
    )))
}

async fn promote(
    args: &ClusterArgs,
    member: Option<String>,
    accept_writes: bool,
    forced: bool,
) -> Result<(), Failure> {
    let own = own_view(&args.connect).await?;
    if forced && own.leader.is_none() {
        return Err(Failure::Message(
            "no majority of the members answers, and force cannot take its place: bring members back, or restore from the archive \
             into a new cluster (docs/runbooks/QuorumLost.md)"
                .to_owned(),
        ));
    }
    let name = match member {
        Some(name) => named(&own, &name)?.address.name.clone(),
        None => me(&own)?.address.name.clone(),
    };
    let leads = named(&own, &name)?.address.id;
    if own.leader == Some(leads) {
        print(args.format, json!({"primary": name, "term": own.term}), || {
            format!("The primary is {name} already.")
        })?;
    } else {
        failover(args, Some(&name)).await?;
    }
    if accept_writes {
        set_read_only(args, false).await?;
    }
    Ok(())
}

async fn set_read_only(args: &ClusterArgs, on: bool) -> Result<(), Failure> {
    let client = args.connect.client()?;
    let switched = client.set_read_only(on).await;
    client.close().await;
    switched?;
    print(args.format, json!({ "read_only": on }), || {
        if on {
            "The database is read-only.".to_owned()
        } else {
            "The database takes writes.".to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::MemberId;
    use geode_wire::client::MemberAddress;

    fn view(lags: [Option<u64>; 2], leader: Option<u64>) -> ClusterView {
        let member = |id: u64, lag: Option<u64>| MemberView {
            address: MemberAddress {
                id: MemberId(id),
                name: format!("geode-{id}"),
                client: format!("10.0.0.{id}:3141"),
                internal: String::new(),
            },
            role: if leader == Some(id) {
                Role::Leader
            } else {
                Role::Follower
            },
            online: None,
            lag_entries: lag,
            lag_ms: lag.map(|lag| lag * 500),
        };
        ClusterView {
            version: "0.1.0".into(),
            cluster: "social".into(),
            cluster_id: None,
            me: MemberId(2),
            leader: leader.map(MemberId),
            term: 4,
            members: vec![member(1, None), member(2, lags[0]), member(3, lags[1])],
        }
    }

    fn message(failure: Failure) -> String {
        match failure {
            Failure::Damaged(message) | Failure::Message(message) => message,
            Failure::Query { error, .. } => error.message,
        }
    }

    /// disaster-recovery: "Check replication lag", which compares the output with a number.
    #[test]
    fn the_lag_is_a_number_of_seconds_or_an_error() {
        assert_eq!(lag_seconds(&view([Some(0), Some(601)], Some(1))).unwrap(), 300);
        let unheard = message(lag_seconds(&view([None, Some(1)], Some(1))).unwrap_err());
        assert!(
            unheard.contains("geode-2") && unheard.contains("not heard"),
            "{unheard}"
        );
        let headless = message(lag_seconds(&view([Some(0), Some(0)], None)).unwrap_err());
        assert!(headless.contains("no primary"), "{headless}");
    }

    /// distributed-systems: "Upgrade script", `wait-for-sync $node`.
    #[test]
    fn in_sync_is_who_lacks_nothing() {
        let some_lag = view([Some(0), Some(7)], Some(1));
        assert!(behind(&some_lag, Some("geode-2")).unwrap().is_empty());
        assert_eq!(behind(&some_lag, None).unwrap(), ["geode-3 lacks 7 entries"]);
        assert!(!behind(&view([Some(0), Some(0)], None), None).unwrap().is_empty());
        let unknown = message(behind(&some_lag, Some("dr-site")).unwrap_err());
        assert!(unknown.contains("geode-1, geode-2, geode-3"), "{unknown}");
    }

    /// distributed-systems: "Upgrade script", `failover leader1 --to follower1`.
    #[test]
    fn a_failover_from_a_member_that_does_not_lead_does_nothing() {
        let view = view([Some(0), Some(0)], Some(1));
        assert!(leads(&view, Some("geode-1")).is_ok() && leads(&view, None).is_ok());
        assert!(message(leads(&view, Some("geode-2")).unwrap_err()).contains("nothing was done"));
    }

    #[test]
    fn a_status_says_who_answers_and_whom_it_follows() {
        let json = status_json(&view([Some(0), Some(0)], Some(1)), Lsn::default()).unwrap();
        assert_eq!(
            (&json["member"], &json["role"], &json["primary"]),
            (&json!("geode-2"), &json!("replica"), &json!("geode-1"))
        );
        assert!(lines(&json).contains("primary: geode-1"));
    }

    #[test]
    fn a_checkpoints_name_is_quoted() {
        assert_eq!(quoted("it's a\\b"), "'it\\'s a\\\\b'");
    }
}
