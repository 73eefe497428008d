//! The beginning of a chain on parts of its scan, side by side while cores are idle (docs/adr/0023).
//!
//! Rows come in the order in which one thread gives them, so nothing behind can tell how many threads there were. When a part
//! fails, or gives more rows than may be kept, it and all behind it are done by the statement's own thread, batch by batch: that fails as it
//! does without help, or does not.

use super::Cx;
use super::build::build_part;
use super::chain::{Chain, Input, Operator, Output};
use super::columns::Wanted;
use super::cx::{Net, Shared};
use super::graph::Graph;
use super::profile::{Counted, Profile};
use super::rows::Rows;
use super::scan::FIRST_PAGE_ROWS;
use crate::plan::physical::Op;
use geode_graph::NodeScan;
use geode_types::{NodeId, QueryError};
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The smallest scan that is shared has so many parts.
const LEAST_PARTS: u64 = 4;
/// A round has so many parts for each thread, so that all end at about the same time.
const PARTS_A_THREAD: usize = 4;
/// The part of the memory that is left which the rows of a round may take.
const SHARE: usize = 8;

/// Scans, and whatever looks at one row at a time behind it.
pub(super) struct Parallel<'p> {
    /// The scan comes first.
    ops: &'p [Op<'p>],
    /// What the operator behind them reads of nodes, which is read side by side, too.
    wanted: Wanted,
    widths: Box<[usize]>,
    /// The row that nodes are scanned for.
    row: Rows,
    /// What this thread does batch by batch, before any other part.
    chain: Option<Chain<'p>>,
    /// Rows of the last round, which come before those of the chain.
    ready: VecDeque<Rows>,
    /// Ids that are left to be scanned behind all that.
    left: Range<u64>,
    /// How many ids are a part.
    width: u64,
    /// The statement's snapshot for other threads.
    helpers: Vec<Box<dyn Graph + Send>>,
}

impl<'p> Parallel<'p> {
    pub(super) fn new(ops: &'p [Op<'p>], wanted: Wanted, widths: &[usize]) -> Self {
        Self {
            ops,
            wanted,
            widths: widths.into(),
            row: Rows::default(),
            chain: None,
            ready: VecDeque::new(),
            left: 0..0,
            width: 1,
            helpers: Vec::new(),
        }
    }

    /// The first part is done here: whoever needs few rows gets them as soon as ever.
    fn begin(&mut self, rows: Rows, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let ids = match rows.len() {
            1 => self.ids(cx)?,
            _ => None,
        };
        self.row = rows;
        if let Some(ids) = ids {
            self.left = ids;
            let first = self.cut(1);
            self.do_here(first, FIRST_PAGE_ROWS);
        } else {
            let (row, whole) = (self.row.clone(), NodeScan::default());
            self.chain = Some(build_part(self.ops, &self.widths, row, whole, FIRST_PAGE_ROWS));
        }
        Ok(())
    }

    /// The ids of the nodes to be scanned; sets how many of them are a part.
    fn ids(&mut self, cx: &mut Cx<'_>) -> Result<Option<Range<u64>>, QueryError> {
        let label = match self.ops.first() {
            Some(Op::Scan {
                label: Some(name), ..
            }) => match cx.resolve(*name)? {
                Some(id) => Some(id),
                None => return Ok(None),
            },
            _ => None,
        };
        let mut first = Vec::new();
        cx.graph.scan_nodes(label, None, 1, &mut first)?;
        let (Some(first), Some(last)) = (first.first(), cx.graph.last_node(label)?) else {
            return Ok(None);
        };
        let nodes_a_part = (cx.context.limits.parallel_nodes / LEAST_PARTS).max(1);
        let parts = (cx.graph.node_count(label)? / nodes_a_part).max(1);
        let ids = first.0..last.0 + 1;
        self.width = ((ids.end - ids.start) / parts).max(1);
        Ok(Some(ids))
    }

    /// Takes so many parts of what is left.
    fn cut(&mut self, parts: usize) -> Range<u64> {
        let ids = self.width.saturating_mul(parts as u64);
        let end = self.left.start.saturating_add(ids).min(self.left.end);
        let cut = self.left.start..end;
        self.left.start = end;
        cut
    }

    fn do_here(&mut self, ids: Range<u64>, page_rows: usize) {
        let (row, part) = (self.row.clone(), part_of(&ids));
        self.chain = Some(build_part(self.ops, &self.widths, row, part, page_rows));
    }

    /// Does the next parts, with whoever can help.
    fn round(&mut self, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        cx.check()?;
        let parts = (self.left.end - self.left.start).div_ceil(self.width);
        let wanted = usize::try_from(parts - 1).unwrap_or(usize::MAX);
        let taken = cx.context.helpers.take(wanted);
        // Without a second snapshot, whatever the reason is, it goes on without help.
        while self.helpers.len() < taken.threads()
            && let Ok(Some(helper)) = cx.graph.helper()
        {
            self.helpers.push(helper);
        }
        let helpers = self.helpers.len().min(taken.threads());
        if helpers == 0 {
            let ids = self.cut(PARTS_A_THREAD);
            self.do_here(ids, cx.batch_rows);
            return Ok(());
        }
        let mut parts = Vec::new();
        while parts.len() < (1 + helpers) * PARTS_A_THREAD && !self.left.is_empty() {
            parts.push(self.cut(1));
        }
        let round = Round {
            ops: self.ops,
            wanted: &self.wanted,
            widths: &self.widths,
            row: &self.row,
            parts: &parts,
            next: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            most: cx.context.limits.max_memory_bytes.saturating_sub(cx.memory()) / SHARE,
        };
        let mut done = round.run(&mut self.helpers[..helpers], cx);
        drop(taken);
        done.sort_unstable_by_key(|part| part.at);
        let mut whole = 0;
        for part in done {
            if part.at == whole && part.is_whole {
                self.ready.extend(part.rows);
                whole += 1;
            } else {
                let bytes: usize = part.rows.iter().map(Rows::bytes).sum();
                cx.release(0, bytes);
            }
        }
        if let Some(ids) = parts.get(whole) {
            let rest = ids.start..self.left.end;
            self.left.start = rest.end;
            self.do_here(rest, cx.batch_rows);
        }
        Ok(())
    }
}

impl Operator for Parallel<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => self.begin(rows, cx)?,
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        loop {
            if let Some(rows) = self.ready.pop_front() {
                cx.release(0, rows.bytes());
                return Ok(Output::Rows(rows));
            }
            if let Some(chain) = &mut self.chain {
                if let Some(rows) = chain.next(cx)? {
                    return Ok(Output::Rows(rows));
                }
                self.chain = None;
            } else if self.left.is_empty() {
                self.helpers.clear();
                return Ok(Output::NeedInput);
            } else {
                self.round(cx)?;
            }
        }
    }
}

fn part_of(ids: &Range<u64>) -> NodeScan {
    NodeScan::part(NodeId(ids.start), NodeId(ids.end))
}

/// Parts that some threads do, each the next one that nobody has begun.
struct Round<'r, 'p> {
    ops: &'p [Op<'p>],
    wanted: &'r Wanted,
    widths: &'r [usize],
    row: &'r Rows,
    parts: &'r [Range<u64>],
    next: AtomicUsize,
    /// No further part is begun. As they are begun in their order, all before the one that was the reason are done.
    is_over: AtomicBool,
    /// What the rows of all parts take, and may take.
    bytes: AtomicUsize,
    most: usize,
}

/// What a part has given.
struct Part {
    at: usize,
    rows: Vec<Rows>,
    is_whole: bool,
}

impl Round<'_, '_> {
    /// All parts that were begun, in no order. Their rows are accounted for.
    fn run(&self, helpers: &mut [Box<dyn Graph + Send>], cx: &mut Cx<'_>) -> Vec<Part> {
        let (shared, graph) = (cx.shared(), cx.graph.graph());
        thread::scope(|scope| {
            let mut threads = Vec::with_capacity(helpers.len());
            for helper in helpers {
                helper.use_graph(graph);
                let shared = shared.clone();
                let help = move || self.help(helper.as_mut(), shared);
                // A thread that the system does not give is one less.
                threads.extend(
                    thread::Builder::new()
                        .name("scan".to_owned())
                        .spawn_scoped(scope, help),
                );
            }
            let mut done = self.work(cx);
            let mut profiles = Vec::new();
            for thread in threads {
                let (parts, taken, profile) = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                done.extend(parts);
                cx.take_over(taken);
                profiles.extend(profile);
            }
            if let Some(profile) = &mut cx.profile {
                profile.add(&profiles);
            }
            done
        })
    }

    /// The work of a helper, with its account.
    fn help(&self, graph: &mut dyn Graph, shared: Shared<'_>) -> (Vec<Part>, Net, Option<Profile>) {
        let mut counted;
        let graph = if shared.is_profiled {
            counted = Counted::new(graph);
            &mut counted
        } else {
            graph
        };
        let mut cx = shared.cx(graph);
        (self.work(&mut cx), cx.taken(), cx.profile)
    }

    fn work(&self, cx: &mut Cx<'_>) -> Vec<Part> {
        let mut done = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(ids) = self.parts.get(at) else {
                break;
            };
            let mut rows = Vec::new();
            let is_whole = self.collect(ids, &mut rows, cx);
            if !is_whole {
                self.is_over.store(true, Ordering::Relaxed);
            }
            done.push(Part { at, rows, is_whole });
        }
        done
    }

    /// Collects the rows of a part; whether these are all.
    fn collect(&self, ids: &Range<u64>, out: &mut Vec<Rows>, cx: &mut Cx<'_>) -> bool {
        let (row, part) = (self.row.clone(), part_of(ids));
        let mut chain = build_part(self.ops, self.widths, row, part, cx.batch_rows);
        loop {
            match chain.next(cx) {
                Ok(None) => return true,
                Ok(Some(mut rows)) => {
                    if self.wanted.load(&mut rows, cx).is_err() {
                        return false;
                    }
                    cx.forget_columns();
                    let bytes = rows.bytes();
                    if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.most {
                        return false;
                    }
                    if cx.hold(0, bytes).is_err() {
                        cx.release(0, bytes);
                        return false;
                    }
                    out.push(rows);
                }
                // It will be met again.
                Err(_) => return false,
            }
        }
    }
}
