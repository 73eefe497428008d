//! The social network that every engine gets: people, cities and posts; random, the same for a size, without parallel edges and self loops, so that
//! engines that let edges repeat and engines that don't count alike.

use anyhow::{Context, Result};
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// Edges for each node, of all types together.
const EDGES_PER_NODE: u64 = 10;
const SEED: u64 = 20_261_130;
/// How many starts each query has.
const CHOICES: usize = 20;

/// A person's id is its place in `people`; the same for the others.
pub(crate) struct Data {
    pub(crate) people: Vec<Person>,
    pub(crate) cities: u64,
    pub(crate) posts: u64,
    pub(crate) knows: Vec<[i64; 3]>,
    pub(crate) likes: Vec<[i64; 2]>,
    pub(crate) choices: Vec<Choice>,
}

pub(crate) struct Person {
    pub(crate) age: i64,
    pub(crate) city: i64,
}

/// What a query is asked with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) a: i64,
    pub(crate) b: i64,
    pub(crate) age: i64,
    pub(crate) city: i64,
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> i64 {
        (self.next() % bound) as i64
    }

    /// `bound · u²`: few have many.
    fn skewed(&mut self, bound: u64) -> i64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (bound as f64 * unit * unit) as i64
    }
}

impl Data {
    /// So many nodes, ten times as many edges: of ten, seven are KNOWS, one a person is LIVES_IN, the others are LIKES.
    pub(crate) fn generate(nodes: u64) -> Self {
        let mut random = Random(SEED);
        let (posts, cities) = ((nodes * 19 / 100).max(1), (nodes / 100).max(1));
        let count = (nodes - posts - cities).max(2);
        let people: Vec<Person> = (0..count)
            .map(|_| Person {
                age: 18 + random.below(60),
                city: random.skewed(cities),
            })
            .collect();
        let edges = nodes * EDGES_PER_NODE;
        let knows = edges * 7 / 10;
        let mut seen = HashSet::with_capacity(knows as usize);
        let mut known = Vec::with_capacity(knows as usize);
        while (known.len() as u64) < knows {
            let (start, end) = (random.below(count), random.skewed(count));
            if start != end && seen.insert((start, end)) {
                known.push([start, end, 2000 + random.below(25)]);
            }
        }
        seen.clear();
        let likes = edges.saturating_sub(knows + count);
        let mut liked = Vec::with_capacity(likes as usize);
        while (liked.len() as u64) < likes {
            let pair = (random.below(count), random.skewed(posts));
            if seen.insert(pair) {
                liked.push([pair.0, pair.1]);
            }
        }
        let choices = (0..CHOICES)
            .map(|_| Choice {
                a: random.below(count),
                b: random.skewed(count),
                age: random.below(90),
                city: random.below(cities),
            })
            .collect();
        Self {
            people,
            cities,
            posts,
            knows: known,
            likes: liked,
            choices,
        }
    }

    pub(crate) fn edges(&self) -> usize {
        self.knows.len() + self.likes.len() + self.people.len()
    }

    /// As CSV without headers, for peers.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let people = self.people.iter().enumerate();
        file(
            folder,
            "people",
            people
                .clone()
                .map(|(id, person)| format!("{id},p{id},{},{}", person.age, person.city)),
        )?;
        file(folder, "cities", (0..self.cities).map(|id| format!("{id},c{id}")))?;
        file(folder, "posts", (0..self.posts).map(|id| format!("{id},t{id}")))?;
        file(
            folder,
            "lives_in",
            people.map(|(id, person)| format!("{id},{}", person.city)),
        )?;
        file(
            folder,
            "likes",
            self.likes.iter().map(|[start, end]| format!("{start},{end}")),
        )?;
        file(
            folder,
            "knows",
            self.knows
                .iter()
                .map(|[start, end, since]| format!("{start},{end},{since}")),
        )
    }
}

fn file(folder: &Path, name: &str, lines: impl Iterator<Item = String>) -> Result<()> {
    let path = folder.join(format!("{name}.csv"));
    let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
    let mut file = std::io::BufWriter::new(file);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_ten_edges_a_node_and_is_always_the_same() {
        let data = Data::generate(1000);
        assert_eq!(data.edges(), 10_000);
        assert_eq!(data.people.len() as u64 + data.cities + data.posts, 1000);
        assert_eq!(data.knows, Data::generate(1000).knows);
        assert!(
            data.knows
                .iter()
                .all(|[start, end, _]| start != end && *end < 800)
        );
        let pairs: HashSet<_> = data.knows.iter().map(|[start, end, _]| (start, end)).collect();
        assert_eq!(pairs.len(), data.knows.len());
    }
}
