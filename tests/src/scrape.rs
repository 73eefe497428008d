//! Reads a page of metrics, as a scraper does that waits for a few seconds.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// A TCP address on loopback that was free a moment ago, for such a page.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

/// The sum of a metric's series on the page at `address`; an error when the page does not come or lacks it.
pub fn metric(address: &str, name: &str) -> Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let samples = page.lines().filter_map(|line| line.rsplit_once(' '));
    let ours = samples.filter(|(series, _)| series.split('{').next() == Some(name));
    let values: Vec<f64> = ours.filter_map(|(_, value)| value.parse().ok()).collect();
    if values.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, format!("no {name} in {page}")));
    }
    Ok(values.iter().sum())
}
