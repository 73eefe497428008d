//! Gherkin files → scenarios, outlines expanded. As much of the language as the kit uses: features, backgrounds, scenarios, outlines
//! with examples, doc strings and tables.

/// One scenario; an outline gives one for each row of its examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// As its file calls it, with the example's number behind it.
    pub name: String,
    /// What happens, in order, the background first.
    pub steps: Vec<Step>,
}

/// One sentence and what hangs below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Without its Given, When or Then.
    pub text: String,
    /// The text between `"""`.
    pub doc: Option<String>,
    /// The cells of the table.
    pub table: Vec<Vec<String>>,
}

#[derive(Default)]
struct Block {
    name: String,
    steps: Vec<Step>,
    /// Tables of examples, each with its header.
    examples: Vec<Vec<Vec<String>>>,
}

/// What the last line opened, to which tables belong.
enum Below {
    Step,
    Examples,
    Nothing,
}

/// The scenarios of a file, or the number of the line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Scenario>, usize> {
    let mut background = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    let mut in_background = false;
    let mut below = Below::Nothing;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed.starts_with('@') {
            continue;
        }
        if let Some((keyword, name)) = heading(trimmed) {
            match keyword {
                "Feature" => {}
                "Background" => in_background = true,
                "Examples" => {
                    blocks.last_mut().ok_or(number + 1)?.examples.push(Vec::new());
                    below = Below::Examples;
                    continue;
                }
                _ => {
                    in_background = false;
                    blocks.push(Block {
                        name: name.to_owned(),
                        ..Block::default()
                    });
                }
            }
            below = Below::Nothing;
            continue;
        }
        let steps = match blocks.last_mut() {
            Some(block) if !in_background => &mut block.steps,
            _ if in_background => &mut background,
            // The description of a feature.
            _ => continue,
        };
        if let Some(step) = step(trimmed) {
            steps.push(step);
            below = Below::Step;
        } else if trimmed == "\"\"\"" {
            let indent = line.len() - line.trim_start().len();
            let body = lines.by_ref().map(|(_, line)| line);
            let body = body.take_while(|line| line.trim() != "\"\"\"");
            let body: Vec<&str> = body.map(|line| without_indent(line, indent)).collect();
            steps.last_mut().ok_or(number + 1)?.doc = Some(body.join("\n"));
        } else if trimmed.starts_with('|') {
            let row = cells(trimmed);
            match below {
                Below::Step => steps.last_mut().ok_or(number + 1)?.table.push(row),
                Below::Examples => {
                    let examples = blocks.last_mut().and_then(|block| block.examples.last_mut());
                    examples.ok_or(number + 1)?.push(row);
                }
                Below::Nothing => return Err(number + 1),
            }
        } else if !matches!(below, Below::Nothing) {
            return Err(number + 1);
        }
    }
    Ok(blocks
        .into_iter()
        .flat_map(|block| expand(block, &background))
        .collect())
}

fn heading(line: &str) -> Option<(&str, &str)> {
    const KEYWORDS: [&str; 6] = [
        "Feature",
        "Background",
        "Scenario Outline",
        "Scenario",
        "Examples",
        "Example",
    ];
    let (keyword, name) = line.split_once(':')?;
    KEYWORDS.contains(&keyword).then_some((keyword, name.trim()))
}

fn step(line: &str) -> Option<Step> {
    let (keyword, text) = line.split_once(' ')?;
    matches!(keyword, "Given" | "When" | "Then" | "And" | "But" | "*").then(|| Step {
        text: text.trim().to_owned(),
        ..Step::default()
    })
}

/// The line without as many blanks as the opening quotes of its doc string have before them.
fn without_indent(line: &str, indent: usize) -> &str {
    let blanks = line.len() - line.trim_start().len();
    line.get(indent.min(blanks)..).unwrap_or(line)
}

/// The cells of a row; `\|`, `\\` and `\n` are a bar, a backslash and a line break.
fn cells(row: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut chars = row.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '|' => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            '\\' => match chars.next() {
                Some('n') => cell.push('\n'),
                Some(escaped @ ('|' | '\\')) => cell.push(escaped),
                Some(other) => cell.extend(['\\', other]),
                None => cell.push('\\'),
            },
            c => cell.push(c),
        }
    }
    cells
}

fn expand(block: Block, background: &[Step]) -> Vec<Scenario> {
    let steps: Vec<Step> = background.iter().cloned().chain(block.steps).collect();
    if block.examples.is_empty() {
        let name = block.name;
        return vec![Scenario { name, steps }];
    }
    let mut scenarios = Vec::new();
    for (header, rows) in block.examples.iter().filter_map(|table| table.split_first()) {
        for row in rows {
            let fill = |text: &str| {
                let columns = header.iter().zip(row);
                columns.fold(text.to_owned(), |text, (column, value)| {
                    text.replace(&format!("<{column}>"), value)
                })
            };
            let filled = steps.iter().map(|step| Step {
                text: fill(&step.text),
                doc: step.doc.as_deref().map(fill),
                table: step
                    .table
                    .iter()
                    .map(|row| row.iter().map(|cell| fill(cell)).collect())
                    .collect(),
            });
            scenarios.push(Scenario {
                steps: filled.collect(),
                name: format!("{} (example {})", fill(&block.name), scenarios.len() + 1),
            });
        }
    }
    scenarios
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_becomes_one_scenario_for_each_example() {
        let text = r#"
Feature: f
  A description.

  Background:
    Given an empty graph

  @tag
  Scenario Outline: [1] returns <x>
    When executing query:
      """
      RETURN <x>
        AS y
      """
    Then the result should be, in any order:
      | y   |
      | <x> |

    Examples:
      | x     |
      | 1     |
      | 'a\|b' |
"#;
        let scenarios = parse(text).expect("well formed");
        assert_eq!(scenarios.len(), 2);
        let last = &scenarios[1];
        assert_eq!(last.name, "[1] returns 'a|b' (example 2)");
        assert_eq!(last.steps[0].text, "an empty graph");
        assert_eq!(last.steps[1].doc.as_deref(), Some("RETURN 'a|b'\n  AS y"));
        assert_eq!(last.steps[2].table, [["y"], ["'a|b'"]]);
    }

    #[test]
    fn a_line_without_meaning_is_named() {
        assert_eq!(
            parse("Feature: f\n Scenario: s\n  Given x\n  nonsense here"),
            Err(4)
        );
    }
}
