//! Clients: each appends values of its own to shared lists, and keeps asking until it knows or gives up.

use crate::member::{Leading, Process};
use crate::world::Shared;
use geode_graph::{
    Applied, Certifier, Command, Commit, IdAllocator, RequestState, Transaction, position, request_state,
};
use geode_server::raft::{ProposeError, Runtime};
use geode_store::{MemRead, Store};
use geode_types::{NodeId, RequestId, Value};
use openraft_rt_sim::SimRuntime;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

/// How many lists there are. Node ids from 1.
pub(crate) const LISTS: u64 = 4;
/// How often a client asks again before it gives up.
const ATTEMPTS: usize = 12;
/// The property that holds a list.
const LIST: &str = "list";

/// What is known about an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acknowledged.
    Acknowledged,
    /// Every attempt was refused before it could take effect.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// An append as its client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) list: u64,
    pub(crate) value: i64,
    pub(crate) began: u64,
    /// When it was acknowledged, or given up.
    pub(crate) ended: u64,
    pub(crate) outcome: Outcome,
}

/// A list as a client read it.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) list: u64,
    pub(crate) began: u64,
    pub(crate) values: Vec<i64>,
}

/// One attempt.
enum Attempt {
    Done,
    Refused,
    Unknown,
}

/// Works until it is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, client: u64, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed ^ (client << 40));
    let session = uuid::Uuid::from_u128(u128::from(client) + 1);
    for sequence in 1.. {
        if shared.stopped() {
            return;
        }
        let pause = dice.random_range(1..30);
        SimRuntime::sleep(Duration::from_millis(pause)).await;
        let (list, value) = (
            dice.random_range(1..=LISTS),
            (client * 1_000_000 + sequence) as i64,
        );
        let began = shared.now();
        if dice.random_range(0..5) == 0 {
            if let Some(values) = read(&shared, list).await {
                shared.record_reading(Reading { list, began, values });
            }
            continue;
        }
        let request = RequestId { session, sequence };
        let (outcome, ended) = append(&shared, &mut dice, request, list, value).await;
        shared.record(Append {
            list,
            value,
            began,
            ended,
            outcome,
        });
    }
}

/// Reads a list where a leader believes to be, with a read index.
async fn read(shared: &Shared, number: u64) -> Option<Vec<i64>> {
    let process = shared.leader()?;
    process.raft.read_index().await.ok()?;
    let values = list(&**process.raft.store(), number);
    // A process that died while it answered has not answered.
    process.is_alive().then_some(values)
}

/// Asks until it is told that the append is there. Sometimes it asks again although an answer is on its way, and sometimes an answer
/// is lost on its way: the request must not take effect twice.
async fn append(
    shared: &Arc<Shared>,
    dice: &mut StdRng,
    request: RequestId,
    list: u64,
    value: i64,
) -> (Outcome, u64) {
    let (mut outcome, mut acknowledged) = (Outcome::Refused, None);
    for _ in 0..ATTEMPTS {
        let Some(process) = shared.leader() else {
            SimRuntime::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let patience = match dice.random_range(0..10) {
            0 => dice.random_range(1..20),
            _ => 5000,
        };
        let mut attempts_dice = StdRng::seed_from_u64(dice.random());
        let (sender, answer) = tokio::sync::oneshot::channel();
        let asked = process.clone();
        drop(SimRuntime::spawn(async move {
            let change = |transaction: &mut Transaction<MemRead>| push(transaction, list, value);
            let _ = sender.send(attempt(&asked, &mut attempts_dice, request, change).await);
        }));
        let answer = SimRuntime::timeout(Duration::from_millis(patience), answer).await;
        match answer {
            // A process that died while it answered has not answered.
            _ if !process.is_alive() => outcome = Outcome::Unknown,
            Ok(Ok(Attempt::Done)) => {
                acknowledged.get_or_insert_with(|| shared.now());
                if dice.random_range(0..10) > 0 {
                    break;
                }
                outcome = Outcome::Unknown;
            }
            Ok(Ok(Attempt::Refused)) => {}
            Ok(Ok(Attempt::Unknown) | Err(_)) | Err(_) => outcome = Outcome::Unknown,
        }
        let pause = dice.random_range(1..60);
        SimRuntime::sleep(Duration::from_millis(pause)).await;
    }
    match acknowledged {
        Some(when) => (Outcome::Acknowledged, when),
        None => (outcome, shared.now()),
    }
}

/// A write when nothing fails: whether it is acknowledged.
pub(crate) async fn write_once(process: &Process, seed: u64) -> bool {
    let mut dice = StdRng::seed_from_u64(seed);
    let request = RequestId {
        session: uuid::Uuid::nil(),
        sequence: 2,
    };
    let change = |transaction: &mut Transaction<MemRead>| {
        transaction.create_node(&[], Default::default()).unwrap();
    };
    matches!(attempt(process, &mut dice, request, change).await, Attempt::Done)
}

/// Makes the lists, while nothing fails and nobody else writes.
pub(crate) async fn set_up(process: &Process, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let request = RequestId {
        session: uuid::Uuid::nil(),
        sequence: 1,
    };
    let made = attempt(process, &mut dice, request, |transaction| {
        transaction.define_key(LIST).unwrap();
        for list in 1..=LISTS {
            assert_eq!(
                transaction.create_node(&[], Default::default()).unwrap(),
                NodeId(list)
            );
        }
    });
    assert!(matches!(made.await, Attempt::Done), "the lists could not be made");
}

/// What the server's pipeline does with a write.
async fn attempt(
    process: &Process,
    dice: &mut StdRng,
    request: RequestId,
    change: impl FnOnce(&mut Transaction<MemRead>),
) -> Attempt {
    let raft = &process.raft;
    let Some(term) = raft.leader_term() else {
        return Attempt::Refused;
    };
    // A transaction of several statements begins with a read index; a single statement relies on its commit alone.
    let several = dice.random_range(0..2) == 0;
    if several && raft.read_index().await.is_err() {
        return Attempt::Refused;
    }
    let Some(ids) = begin_term(process, term) else {
        return Attempt::Refused;
    };
    let read = raft.store().read().unwrap();
    match request_state(&read, request).unwrap() {
        RequestState::New => {}
        RequestState::Committed { .. } => return Attempt::Done,
        RequestState::TooOld => return Attempt::Unknown,
    }
    let mut transaction = Transaction::begin(read, ids).unwrap();
    change(&mut transaction);
    // Others get the chance to commit in between.
    let pause = dice.random_range(0..3000);
    SimRuntime::sleep(Duration::from_micros(pause)).await;
    let finished = transaction.finish();
    let submitted = {
        let mut leading = process.leading.lock().unwrap();
        let Some(leading) = leading.as_mut().filter(|leading| leading.term == term) else {
            return Attempt::Refused;
        };
        let Ok(sequence) = leading
            .certifier
            .certify(finished.start, &finished.reads, &finished.writes)
        else {
            return Attempt::Refused;
        };
        let command = Command::Commit(Box::new(Commit {
            request_id: Some(request),
            certified_term: term,
            sequence,
            at_micros: 0,
            effects: finished.effects,
            summary: finished.summary,
        }));
        // Certified and submitted under one lock: the order of the certifier is the order of the log.
        raft.submit(&command)
    };
    match submitted.await {
        Ok(committed) => match committed.applied {
            Applied::Committed(_) | Applied::AlreadyCommitted { .. } => Attempt::Done,
            Applied::Fenced => Attempt::Refused,
            Applied::RequestTooOld | Applied::Cut | Applied::Stepped(_) | Applied::Raised => Attempt::Unknown,
        },
        Err(ProposeError::Unknown) => Attempt::Unknown,
        Err(ProposeError::NotLeader(_) | ProposeError::Unavailable(_)) => Attempt::Refused,
    }
}

/// The certifier and the ids of this term, made by whoever comes first.
fn begin_term(process: &Process, term: geode_types::Term) -> Option<Arc<IdAllocator>> {
    let mut leading = process.leading.lock().unwrap();
    if leading.as_ref().is_none_or(|leading| leading.term < term) {
        let read = process.raft.store().read().unwrap();
        let at = position(&read).unwrap();
        *leading = Some(Leading {
            term,
            certifier: Certifier::new(term, &at),
            ids: Arc::new(IdAllocator::seed(&read).unwrap()),
        });
    }
    leading
        .as_ref()
        .filter(|leading| leading.term == term)
        .map(|leading| leading.ids.clone())
}

fn push(transaction: &mut Transaction<MemRead>, list: u64, value: i64) {
    let key = transaction.define_key(LIST).unwrap();
    let mut values = match transaction.node_property(NodeId(list), key).unwrap() {
        Some(Value::List(values)) => values,
        _ => Vec::new(),
    };
    values.push(Value::Int(value));
    transaction
        .set_node_property(NodeId(list), key, Value::List(values))
        .unwrap();
}

/// The content of a list.
pub(crate) fn list(store: &impl Store, list: u64) -> Vec<i64> {
    let transaction = Transaction::read_only(store.read().unwrap()).unwrap();
    let Some(key) = transaction.key_id(LIST).unwrap() else {
        return Vec::new();
    };
    match transaction.node_property(NodeId(list), key) {
        Ok(Some(Value::List(values))) => values
            .iter()
            .map(|value| match value {
                Value::Int(number) => *number,
                other => panic!("{other:?} in a list of numbers"),
            })
            .collect(),
        _ => Vec::new(),
    }
}
