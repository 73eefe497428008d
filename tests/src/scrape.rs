//! Reads a member's page of metrics, as a scraper does that waits for a few seconds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// The page at `address` (`host:port`).
pub(crate) fn page(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// The sum of a metric's series.
pub(crate) fn sum(page: &str, name: &str) -> f64 {
    let samples = page.lines().filter_map(|line| line.rsplit_once(' '));
    let ours = samples.filter(|(series, _)| series.split('{').next() == Some(name));
    ours.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}
