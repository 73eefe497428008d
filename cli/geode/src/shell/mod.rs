//! `geode shell`: statements from the terminal, from `-c`, from a pipe, or as JSON lines.

mod help;
pub(crate) mod split;

use crate::args::{Format, ShellArgs};
use crate::engine::{Engine, Request};
use crate::{Failure, jsonl, show};
use geode_types::QueryError;
use help::Helper;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use split::{Statements, complete_statements};
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::time::Instant;

const HISTORY_LINES: usize = 10_000;
const HISTORY_FILE: &str = ".geode_history";
const HELP: &str = "\
Statements end with ; and may span lines.
  \\help            this text
  \\timing          switch printing of times on or off
  \\format FORMAT   table, json, csv or jsonl
  \\status          the members of the cluster
  \\quit            leave (also Ctrl-D)
Transactions: START TRANSACTION; … COMMIT; or ROLLBACK;";

pub(crate) async fn run(args: ShellArgs) -> Result<(), Failure> {
    let mut engine = if args.ephemeral {
        Engine::ephemeral()
    } else {
        Engine::cluster(&args.connect)?
    };
    let result = match &args.command {
        Some(text) => batch(&mut engine, text, args.format).await,
        None if args.format == Format::Jsonl => {
            jsonl::serve(&mut engine, tokio::io::stdin(), tokio::io::stdout())
                .await
                .map_err(Failure::from)
        }
        None if std::io::stdin().is_terminal() => interactive(&mut engine, &args).await,
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            batch(&mut engine, &text, args.format).await
        }
    };
    engine.close().await;
    result
}

/// Runs statements one after the other; the first error ends it.
async fn batch(engine: &mut Engine, text: &str, format: Format) -> Result<(), Failure> {
    let Statements { complete, rest } = complete_statements(text);
    let last = Some(rest).filter(|rest| !split::is_blank(rest));
    for statement in complete.into_iter().chain(last) {
        match engine.execute(Request::gql(statement)).await {
            Ok(result) => show::answer(&mut std::io::stdout().lock(), &result, format)?,
            Err(error) => return Err(Failure::query(error, statement, format)),
        }
    }
    Ok(())
}

async fn interactive(engine: &mut Engine, args: &ShellArgs) -> Result<(), Failure> {
    let mut terminal = Terminal::open(args)?;
    println!("geode {} — \\help for help", env!("CARGO_PKG_VERSION"));
    terminal.learn_names(engine).await;
    let mut pending = String::new();
    loop {
        let prompt = match (pending.is_empty(), engine.in_transaction()) {
            (false, _) => "   ...> ",
            (true, false) => "geode> ",
            (true, true) => "geode*> ",
        };
        match tokio::task::block_in_place(|| terminal.editor.readline(prompt)) {
            Ok(line) if pending.is_empty() && line.trim_start().starts_with('\\') => {
                terminal.remember(line.trim());
                if !terminal.command(line.trim(), args).await {
                    break;
                }
            }
            Ok(line) => {
                pending.push_str(&line);
                pending.push('\n');
                let Statements { complete, rest } = complete_statements(&pending);
                for statement in complete {
                    terminal.remember(&format!("{};", statement.trim()));
                    terminal.execute(engine, statement).await;
                }
                pending = if split::is_blank(rest) {
                    String::new()
                } else {
                    rest.to_owned()
                };
            }
            Err(ReadlineError::Interrupted) => pending.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(Failure::Message(format!("cannot read the terminal: {error}"))),
        }
    }
    terminal.close();
    Ok(())
}

struct Terminal {
    editor: Editor<Helper, FileHistory>,
    history: Option<PathBuf>,
    format: Format,
    timing: bool,
}

impl Terminal {
    fn open(args: &ShellArgs) -> Result<Self, Failure> {
        let no_terminal =
            |error: ReadlineError| Failure::Message(format!("cannot use the terminal: {error}"));
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(no_terminal)?
            .build();
        let mut editor = Editor::with_config(config).map_err(no_terminal)?;
        editor.set_helper(Some(Helper::default()));
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(HISTORY_FILE));
        if let Some(path) = history.as_ref().filter(|path| path.exists()) {
            // A history that cannot be read is no reason not to work.
            let _ = editor.load_history(path);
        }
        Ok(Self {
            editor,
            history,
            format: args.format,
            timing: false,
        })
    }

    fn remember(&mut self, entry: &str) {
        let _ = self.editor.add_history_entry(entry);
    }

    fn close(&mut self) {
        if let Some(path) = &self.history
            && let Err(error) = self.editor.save_history(path)
        {
            eprintln!("the history is not saved in {}: {error}", path.display());
        }
    }

    /// Labels and property names for completion; without them it completes keywords only.
    async fn learn_names(&mut self, engine: &mut Engine) {
        let sample = Request::gql("MATCH (n) RETURN n LIMIT 200");
        if let (Ok(result), Some(helper)) = (engine.execute(sample).await, self.editor.helper_mut()) {
            helper.learn(result.rows.iter().flatten());
        }
    }

    async fn execute(&mut self, engine: &mut Engine, statement: &str) {
        let start = Instant::now();
        match engine.execute(Request::gql(statement)).await {
            Ok(result) => {
                if let Some(helper) = self.editor.helper_mut() {
                    helper.learn(result.rows.iter().flatten());
                }
                if let Err(error) = show::answer(&mut std::io::stdout().lock(), &result, self.format) {
                    eprintln!("cannot print the answer: {error}");
                }
            }
            Err(error) => report(&error, statement),
        }
        if self.timing {
            println!("{:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
        }
    }

    /// Runs a `\` command; false to leave.
    async fn command(&mut self, line: &str, args: &ShellArgs) -> bool {
        let mut words = line.split_whitespace();
        match (words.next().unwrap_or_default(), words.next()) {
            ("\\quit" | "\\q", None) => return false,
            ("\\help" | "\\h" | "\\?", None) => println!("{HELP}"),
            ("\\timing", None) => {
                self.timing = !self.timing;
                println!("timing is {}", if self.timing { "on" } else { "off" });
            }
            ("\\format", Some(name)) => match <Format as clap::ValueEnum>::from_str(name, true) {
                Ok(format) => self.format = format,
                Err(_) => println!("{name:?} is not a format; choose table, json, csv or jsonl"),
            },
            ("\\status", None) if args.ephemeral => {
                println!("a throw-away graph in this process has no cluster");
            }
            ("\\status", None) => {
                if let Err(failure) = crate::cluster::status(&args.connect, Format::Table).await {
                    failure.print();
                }
            }
            (unknown, _) => {
                let known = ["\\help", "\\timing", "\\format", "\\status", "\\quit"];
                let meant =
                    geode_types::nearest(unknown, known).map(|known| format!("; did you mean {known}?"));
                println!(
                    "{unknown} is not a command{}",
                    meant.unwrap_or_else(|| "; try \\help".to_owned())
                );
            }
        }
        true
    }
}

fn report(error: &QueryError, statement: &str) {
    let _ = writeln!(std::io::stderr(), "{}", show::error_text(error, statement));
}
