//! A writer that keeps books through `geode shell`: each write is acknowledged, refused or unknown, and is held against the graph later.

use geode_tests::members::{Members, Shell, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a number of writes may take on a busy machine, elections and lost datagrams included: it tells late from never.
const PATIENCE: Duration = Duration::from_secs(180);
/// Every writer has numbers of its own, from here on.
static NEXT: AtomicI64 = AtomicI64::new(0);
const NUMBERS: i64 = 1_000_000;

/// What became of a writer's writes.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) acknowledged: Vec<i64>,
    /// Certainly not written.
    pub(crate) refused: Vec<i64>,
    pub(crate) unknown: Vec<i64>,
    /// The longest time between two acknowledgements.
    pub(crate) longest_gap: Duration,
    first: i64,
}

/// A writer at work.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<Account>,
}

impl Writer {
    /// One write after the other, through a shell that knows these members.
    pub(crate) fn start(members: &Members, hosts: &[usize]) -> Self {
        let mut shell = Shell::open(members, hosts);
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let first = NEXT.fetch_add(NUMBERS, Ordering::Relaxed);
        let thread = {
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            std::thread::spawn(move || write(&mut shell, first, &stop, &acknowledged))
        };
        Self {
            stop,
            acknowledged,
            thread,
        }
    }

    /// Until so many more writes are acknowledged.
    pub(crate) fn wait(&self, more: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        wait_for(&format!("{more} more acknowledged writes"), PATIENCE, || {
            self.acknowledged.load(Ordering::Relaxed) >= goal
        });
    }

    /// Ends the writer and gives its account.
    pub(crate) fn finish(self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer does not panic")
    }
}

fn write(shell: &mut Shell, first: i64, stop: &AtomicBool, acknowledged: &AtomicUsize) -> Account {
    let mut account = Account {
        first,
        ..Account::default()
    };
    let mut last = Instant::now();
    for number in first..first + NUMBERS {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let reply = shell.ask(&insert(number));
        if reply["error"].is_null() {
            account.longest_gap = account.longest_gap.max(last.elapsed());
            last = Instant::now();
            account.acknowledged.push(number);
            acknowledged.fetch_add(1, Ordering::Relaxed);
        } else if reply["error"]["outcome"] == "unknown" {
            account.unknown.push(number);
        } else {
            account.refused.push(number);
        }
    }
    account
}

fn insert(number: i64) -> Value {
    json!({"op": "query", "text": "INSERT (:Ledger {n: $n})", "params": {"n": number}})
}

impl Account {
    /// Nothing acknowledged is lost, nothing is there twice, nothing that was refused is there.
    pub(crate) fn check(&self, members: &Members, via: usize) {
        let answer = members.query(via, "MATCH (l:Ledger) RETURN l.n AS n, count(*) AS c");
        let rows = answer["rows"].as_array().expect("rows");
        let found: BTreeMap<i64, i64> = rows
            .iter()
            .filter_map(|row| Some((row[0].as_i64()?, row[1].as_i64()?)))
            .filter(|(number, _)| (self.first..self.first + NUMBERS).contains(number))
            .collect();
        let there = |numbers: &[i64], is_there: bool| -> Vec<i64> {
            let wrong = numbers
                .iter()
                .filter(|number| found.contains_key(number) == is_there);
            wrong.copied().collect()
        };
        let (lost, ghosts) = (there(&self.acknowledged, false), there(&self.refused, true));
        assert!(lost.is_empty(), "acknowledged writes are lost: {lost:?}");
        assert!(ghosts.is_empty(), "refused writes are there: {ghosts:?}");
        assert!(
            found.values().all(|count| *count == 1),
            "applied twice: {found:?}"
        );
    }
}

/// Until these members have applied the same log; then their graphs are equal.
pub(crate) fn wait_equal(members: &Members, which: &[usize]) {
    let mut seen = Vec::new();
    wait_for("every member has applied everything", PATIENCE, || {
        seen = which.iter().map(|member| state(members, *member)).collect();
        seen.iter().all(|(applied, _)| *applied == seen[0].0)
    });
    assert!(
        seen.iter().all(|state| *state == seen[0]),
        "the graphs differ: {seen:?}"
    );
}

/// Until two members have applied the same log; then their graphs must differ.
pub(crate) fn wait_different(members: &Members, one: usize, other: usize) {
    let mut seen = Vec::new();
    wait_for("both have applied everything", PATIENCE, || {
        seen = vec![state(members, one), state(members, other)];
        seen[0].0 == seen[1].0
    });
    assert_ne!(seen[0].1, seen[1].1);
}

/// What a member has applied, and the hash of its graph.
fn state(members: &Members, member: usize) -> (Value, Value) {
    // With a position the member that is asked answers, whoever leads.
    let table = members.query_with(
        member,
        "SELECT applied, hash FROM system.state_hash",
        &["--read-lsn", "0/0"],
    );
    (table["rows"][0][0].clone(), table["rows"][0][1].clone())
}
