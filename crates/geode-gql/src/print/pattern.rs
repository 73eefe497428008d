//! Patterns.

use super::names::Key;
use super::{Joined, Opt};
use crate::ast::{
    Direction, EdgePattern, Expr, LabelExpr, Name, NodePattern, PathMode, PathPattern, PathSearch, Quantifier,
};
use std::fmt::{self, Display, Formatter};

impl Display for PathPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(variable) = &self.variable {
            write!(f, "{variable} = ")?;
        }
        let mode = self.mode.map_or("", |mode| match mode {
            PathMode::Walk => "WALK ",
            PathMode::Trail => "TRAIL ",
            PathMode::Simple => "SIMPLE ",
            PathMode::Acyclic => "ACYCLIC ",
        });
        match self.search {
            PathSearch::Every => f.write_str(mode)?,
            PathSearch::Shortest(count) => write!(f, "SHORTEST {count} {mode}")?,
            PathSearch::ShortestGroups(count) => write!(f, "SHORTEST {count} {mode}GROUPS ")?,
        }
        write!(f, "{}", self.elements())
    }
}

impl PathPattern {
    /// Its nodes and edges alone.
    pub(super) fn elements(&self) -> impl Display + '_ {
        Elements(self)
    }
}

struct Elements<'a>(&'a PathPattern);

impl Display for Elements<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.start)?;
        for (edge, node) in &self.0.steps {
            // A node that is not written beside a path in parentheses is `()`.
            let blank = if edge.group.is_some() { " " } else { "" };
            write!(f, "{blank}{edge}{blank}{node}")?;
        }
        Ok(())
    }
}

/// What stands between the parentheses of a node or the brackets of an edge.
struct Filler<'a> {
    variable: Option<&'a Name>,
    labels: Option<&'a LabelExpr>,
    properties: Option<&'a Expr>,
    condition: Option<&'a Expr>,
}

impl Display for Filler<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Opt("", self.variable), Opt(":", self.labels))?;
        write!(
            f,
            "{}{}",
            Opt(" ", self.properties),
            Opt(" WHERE ", self.condition)
        )
    }
}

impl Display for NodePattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let filler = Filler {
            variable: self.variable.as_ref(),
            labels: self.labels.as_ref(),
            properties: self.properties.as_ref(),
            condition: self.condition.as_ref(),
        };
        write!(f, "({filler})")
    }
}

impl Display for EdgePattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let quantifier = Opt("", self.quantifier.as_ref());
        if let Some(group) = &self.group {
            let condition = Opt(" WHERE ", group.condition.as_ref());
            return write!(f, "({}{condition}){quantifier}", group.pattern.elements());
        }
        let filler = Filler {
            variable: self.variable.as_ref(),
            labels: self.labels.as_ref(),
            properties: self.properties.as_ref(),
            condition: self.condition.as_ref(),
        };
        let (left, right) = match self.direction {
            Direction::Right => ("-", "->"),
            Direction::Left => ("<-", "-"),
            Direction::Any => ("-", "-"),
            Direction::LeftOrRight => ("<-", "->"),
            Direction::Undirected => ("~", "~"),
        };
        write!(f, "{left}[{filler}]{right}{quantifier}")
    }
}

impl Display for Quantifier {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.question {
            return f.write_str("?");
        }
        write!(f, "{{{},{}}}", self.min, Opt("", self.max.as_ref()))
    }
}

impl Display for LabelExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{}", Key(&name.text)),
            Self::Wildcard(_) => f.write_str("%"),
            Self::Not(inner) => write!(f, "!{}", Factor(inner)),
            Self::And(parts) => {
                let factors: Vec<_> = parts.iter().map(Factor).collect();
                write!(f, "{}", Joined(&factors, "&"))
            }
            Self::Or(parts) => {
                let terms: Vec<_> = parts.iter().map(Term).collect();
                write!(f, "{}", Joined(&terms, "|"))
            }
        }
    }
}

/// A part of a conjunction.
struct Factor<'a>(&'a LabelExpr);

impl Display for Factor<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            LabelExpr::And(_) | LabelExpr::Or(_) => write!(f, "({})", self.0),
            other => write!(f, "{other}"),
        }
    }
}

/// A part of an alternative.
struct Term<'a>(&'a LabelExpr);

impl Display for Term<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            LabelExpr::Or(_) => write!(f, "({})", self.0),
            other => write!(f, "{other}"),
        }
    }
}
