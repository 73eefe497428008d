//! The cluster as clients see it: for drivers that look for the leader, and as rows for `SELECT … FROM system.…`.

use crate::archive_tables::{BACKUP_STATUS, WAL_ARCHIVING_STATUS, backup_status, wal_archiving_status};
use crate::chronicle::{Event, Sample};
use crate::internal::state_hash_at;
use crate::member::{Member, VERSION};
use crate::pipeline::lsn_of;
use crate::raft::{BoxFuture, MembershipError, RaftStatus};
use crate::session::{ClusterAccess, TransferRefused};
use geode_query::SystemTables;
use geode_store::Store;
use geode_types::temporal::{Duration, TimeZone};
use geode_types::{Checkpoint, MemberId, Role, Temporal, TemporalKind, Value};
use geode_wire::client::{ClusterView, MemberAddress, MemberView};
use std::sync::Arc;

/// A member that has not answered its leader for longer is offline.
const OFFLINE_AFTER_MS: u64 = 3000;

/// A table, and how its rows are read.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    rows: fn(&Member) -> Vec<Vec<Value>>,
}

const TABLES: [Table; 7] = [
    Table {
        name: "system.cluster_nodes",
        columns: &CLUSTER_NODES,
        rows: |member| {
            let now = jiff::Timestamp::now().as_microsecond();
            let members = cluster_view(member).members;
            members.iter().map(|member| cluster_node(member, now)).collect()
        },
    },
    Table {
        name: "system.state_hash",
        columns: &["applied", "hash"],
        rows: state_hash,
    },
    Table {
        name: "system.checkpoints",
        columns: &["name", "timestamp", "wal_position"],
        rows: checkpoints,
    },
    Table {
        name: "system.wal_archiving_status",
        columns: &WAL_ARCHIVING_STATUS,
        rows: wal_archiving_status,
    },
    Table {
        name: "system.backup_status",
        columns: &BACKUP_STATUS,
        rows: backup_status,
    },
    Table {
        name: "system.cluster_events",
        columns: &["timestamp", "type", "old", "new", "reason"],
        rows: |member| member.chronicle.events().into_iter().map(event).collect(),
    },
    Table {
        name: "system.cluster_metrics",
        columns: &CLUSTER_METRICS,
        rows: |member| {
            let name = &member.raft.address().name;
            let samples = member.chronicle.samples().into_iter();
            samples.map(|taken| sample(name, &taken)).collect()
        },
    },
];

const CLUSTER_METRICS: [&str; 6] = [
    "timestamp",
    "node_id",
    "cpu_utilization",
    "memory_utilization",
    "disk_utilization",
    "query_latency_p99",
];

/// The last four are what the guides call the others.
const CLUSTER_NODES: [&str; 12] = [
    "id",
    "name",
    "address",
    "role",
    "state",
    "lag_ms",
    "lag_entries",
    "is_leader",
    "node_id",
    "status",
    "lag",
    "last_heartbeat",
];

/// The tables of one member.
pub(crate) struct ClusterTables(pub(crate) Arc<Member>);

impl SystemTables for ClusterTables {
    fn names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name.to_owned()).collect()
    }

    fn columns(&self, name: &str) -> Option<Vec<String>> {
        find(name).map(|table| table.columns.iter().map(|column| (*column).to_owned()).collect())
    }

    fn rows(&self, name: &str) -> Vec<Vec<Value>> {
        find(name).map_or_else(Vec::new, |table| (table.rows)(&self.0))
    }
}

fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| name.eq_ignore_ascii_case(table.name))
}

/// Reads the whole graph: equal hashes at an equal index are what replicas and restores owe each other.
fn state_hash(member: &Member) -> Vec<Vec<Value>> {
    match state_hash_at(member.raft.store()) {
        Ok((applied, hash)) => vec![vec![
            Value::Int(i64::try_from(applied.0).unwrap_or(i64::MAX)),
            hash.into(),
        ]],
        Err(error) => {
            tracing::error!(error, "the state hash cannot be computed");
            Vec::new()
        }
    }
}

/// Those that this member has applied.
fn checkpoints(member: &Member) -> Vec<Vec<Value>> {
    let read = member.raft.store().read().map_err(geode_graph::GraphError::from);
    let found = read.and_then(|read| geode_graph::checkpoints(&read));
    let found = found.unwrap_or_else(|error| {
        tracing::error!(%error, "the checkpoints cannot be read");
        Vec::new()
    });
    found.iter().map(checkpoint).collect()
}

/// A time in tables, microseconds since 1970: a value that statements compare with `NOW()`.
pub(crate) fn time_value(micros: i64) -> Value {
    let at = Temporal::now(TemporalKind::DateTime, micros, TimeZone::UTC);
    at.map_or(Value::Null, Value::Temporal)
}

fn duration_value(millis: u64) -> Value {
    let nanos = (millis % 1000) as i64 * 1_000_000;
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    Duration::new(0, 0, seconds, nanos).map_or(Value::Null, |amount| Value::Temporal(amount.into()))
}

fn checkpoint(checkpoint: &Checkpoint) -> Vec<Value> {
    vec![
        checkpoint.name.as_str().into(),
        time_value(checkpoint.at_micros),
        lsn_of(checkpoint.index).to_string().into(),
    ]
}

fn event(event: Event) -> Vec<Value> {
    let name = |name: Option<String>| name.map_or(Value::Null, Value::from);
    vec![
        time_value(event.at_micros),
        event.kind.into(),
        name(event.old),
        name(event.new),
        event.reason.into(),
    ]
}

/// In the order of [`CLUSTER_METRICS`]: per cent, and milliseconds.
fn sample(name: &str, sample: &Sample) -> Vec<Value> {
    vec![
        time_value(sample.at_micros),
        name.into(),
        sample.cpu.into(),
        sample.memory.into(),
        sample.disk.into(),
        sample.p99_ms.map_or(Value::Null, Value::from),
    ]
}

/// In the order of [`CLUSTER_NODES`].
fn cluster_node(member: &MemberView, now_micros: i64) -> Vec<Value> {
    let number = |figure: Option<u64>| {
        figure.map_or(Value::Null, |figure| {
            Value::Int(i64::try_from(figure).unwrap_or(i64::MAX))
        })
    };
    let leads = member.role == Role::Leader;
    let (state, status) = match member.online {
        Some(true) => ("online", "healthy"),
        Some(false) => ("offline", "unreachable"),
        None => ("unknown", "unknown"),
    };
    let lag_ms = if leads { Some(0) } else { member.lag_ms };
    // How late a member is, is how long ago it was heard.
    let heard = lag_ms.and_then(|lag| i64::try_from(lag).ok());
    let heard = heard.map(|lag| now_micros.saturating_sub(lag.saturating_mul(1000)));
    vec![
        number(Some(member.address.id.0)),
        member.address.name.as_str().into(),
        member.address.client.as_str().into(),
        member.role.to_string().into(),
        state.into(),
        number(lag_ms),
        number(if leads { Some(0) } else { member.lag_entries }),
        leads.into(),
        member.address.name.as_str().into(),
        status.into(),
        lag_ms.map_or(Value::Null, duration_value),
        heard.map_or(Value::Null, time_value),
    ]
}

/// The member as sessions ask for it.
pub(crate) struct ClusterMember(pub(crate) Arc<Member>);

impl ClusterAccess for ClusterMember {
    fn view(&self) -> ClusterView {
        cluster_view(&self.0)
    }

    fn transfer_leader(&self, to: Option<String>) -> BoxFuture<'_, Result<(), TransferRefused>> {
        Box::pin(async move {
            let to = match to {
                Some(name) => Some(self.named(&name)?),
                None => None,
            };
            self.0.hand_over(to).await.map_err(|error| match error {
                MembershipError::NotLeader(leader) => TransferRefused::NotLeader(leader),
                other => TransferRefused::Refused(other.to_string()),
            })
        })
    }
}

impl ClusterMember {
    fn named(&self, name: &str) -> Result<MemberId, TransferRefused> {
        let members = self.0.raft.status().membership.members;
        let found = members
            .iter()
            .find(|member| member.name == name || member.id.to_string() == name);
        found.map(|member| member.id).ok_or_else(|| {
            let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
            let near = geode_types::nearest(name, names.iter().copied())
                .map(|near| format!("; did you mean {near}?"));
            TransferRefused::Refused(format!(
                "no member is called {name}{}; members: {}",
                near.unwrap_or_default(),
                names.join(", ")
            ))
        })
    }
}

fn cluster_view(member: &Member) -> ClusterView {
    let status = member.raft.status();
    let me = member.raft.member();
    ClusterView {
        version: VERSION.to_owned(),
        cluster: member.config.cluster.name.clone(),
        cluster_id: member.place().0,
        me,
        leader: status.leader_with_quorum(),
        term: status.term,
        members: status
            .membership
            .members
            .iter()
            .map(|address| member_view(address, me, &status))
            .collect(),
    }
}

/// One member as this one sees it; only a leader knows how far the others are.
fn member_view(address: &MemberAddress, me: MemberId, status: &RaftStatus) -> MemberView {
    let role = match () {
        () if status.leader_with_quorum() == Some(address.id) => Role::Leader,
        () if status.lasting_voters.contains(&address.id) => Role::Follower,
        () => Role::Observer,
    };
    let leads = status.role == Role::Leader;
    let peer = status
        .replication
        .iter()
        .find(|peer| peer.member == address.id)
        .filter(|_| leads);
    let heard = peer.and_then(|peer| peer.heard_ms);
    let online = if address.id == me {
        Some(true)
    } else {
        leads.then(|| heard.is_some_and(|age| age <= OFFLINE_AFTER_MS))
    };
    MemberView {
        address: address.clone(),
        role,
        online,
        lag_entries: peer.map(|peer| status.last_log.0.saturating_sub(peer.matched.0)),
        lag_ms: heard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::MemberId;
    use geode_wire::client::MemberAddress;

    #[test]
    fn a_row_has_a_value_for_every_column() {
        let address = MemberAddress {
            id: MemberId(7),
            name: "geode-0".into(),
            client: "geode-0:3141".into(),
            internal: String::new(),
        };
        let member = MemberView {
            address,
            role: Role::Follower,
            online: Some(true),
            lag_entries: None,
            lag_ms: Some(2),
        };
        let row = cluster_node(&member, 1_000_000);
        assert_eq!(row.len(), CLUSTER_NODES.len());
        assert_eq!(
            row[3..],
            [
                "follower".into(),
                "online".into(),
                2.into(),
                Value::Null,
                false.into(),
                "geode-0".into(),
                "healthy".into(),
                duration_value(2),
                time_value(998_000)
            ]
        );
    }
}
