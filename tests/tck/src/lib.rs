//! The openCypher Technology Compatibility Kit, run on the query engine in this process.
//!
//! [`gherkin`] reads the files, [`steps`] gives their sentences a meaning, [`trial`] runs one scenario on a graph of its own
//! ([`graph`]) with [`procedures`] of its own, [`expected`] and [`compare`] judge rows, [`runner`] runs many at once and [`report`] says what came of it. Knows no
//! server, no replication and no scenario by name.

pub mod compare;
pub mod expected;
pub mod gherkin;
pub mod graph;
pub mod procedures;
pub mod report;
pub mod runner;
pub mod steps;
pub mod trial;
