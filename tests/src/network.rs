//! A bad network of our own: every internal port has a relay before it that loses, doubles, delays, reorders and cuts datagrams.
//!
//! A member dials from the socket on which it listens, so the source of a datagram tells who sent it. Both directions of a connection
//! pass the relay before the member that was dialled. All chance comes from one seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// No datagram is larger.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// A thin line keeps what waits for at most this long, as routers do; what comes then is lost.
const QUEUE_TIME_MAX: Duration = Duration::from_millis(150);

/// What happens to datagrams from one member to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// Of a hundred, so many are lost.
    pub loss_percent: u32,
    /// Of a hundred, so many arrive twice, the second one later.
    pub double_percent: u32,
    /// Each takes at least this long.
    pub delay_min: Duration,
    /// Each takes a random time up to this on top; what takes longer is overtaken.
    pub delay_max: Duration,
    /// Nothing passes.
    pub is_cut: bool,
    /// So many bytes a second; none: as many as there are.
    pub bytes_per_second: Option<u32>,
    /// Larger datagrams are lost without a word.
    pub bytes_max: usize,
}

impl Weather {
    /// Everything arrives, at once.
    pub const FINE: Self = Self {
        loss_percent: 0,
        double_percent: 0,
        delay_min: Duration::ZERO,
        delay_max: Duration::ZERO,
        is_cut: false,
        bytes_per_second: None,
        bytes_max: DATAGRAM_BYTES_MAX,
    };
    /// Nothing arrives.
    pub const CUT: Self = Self {
        is_cut: true,
        ..Self::FINE
    };
}

/// The network between the members of one cluster. Its relays end with it.
pub struct Network {
    runtime: Option<Runtime>,
    state: Arc<Mutex<State>>,
    /// Where each member's relay listens.
    fronts: Vec<SocketAddr>,
}

struct State {
    dice: StdRng,
    links: HashMap<(usize, usize), Link>,
    /// The members' own internal ports: who sends, and where relays send to.
    ports: Vec<SocketAddr>,
}

struct Link {
    weather: Weather,
    /// Until then the thin line is busy with what was sent before.
    busy_until: Instant,
}

impl Network {
    /// A relay before each of these internal ports, in fine weather.
    pub fn new(seed: u64, internal_ports: &[u16]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("network")
            .enable_all()
            .build()
            .expect("threads");
        let here = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let state = Arc::new(Mutex::new(State {
            dice: StdRng::seed_from_u64(seed),
            links: HashMap::new(),
            ports: internal_ports.iter().map(|port| here(*port)).collect(),
        }));
        let mut fronts = Vec::new();
        for member in 0..internal_ports.len() {
            let front = runtime.block_on(UdpSocket::bind(here(0))).expect("a free port");
            fronts.push(front.local_addr().expect("bound"));
            runtime.spawn(relay(Arc::new(front), member, state.clone()));
        }
        Self {
            runtime: Some(runtime),
            state,
            fronts,
        }
    }

    /// The address under which others reach a member.
    pub fn address(&self, member: usize) -> SocketAddr {
        self.fronts[member]
    }

    /// The weather in one direction between two members.
    pub fn one_way(&self, from: usize, to: usize, weather: Weather) {
        lock(&self.state).link(from, to).weather = weather;
    }

    /// The weather everywhere.
    pub fn everywhere(&self, weather: Weather) {
        for from in 0..self.fronts.len() {
            self.around(from, weather);
        }
    }

    /// The weather between a member and all others, in both directions.
    pub fn around(&self, member: usize, weather: Weather) {
        for other in (0..self.fronts.len()).filter(|other| *other != member) {
            self.one_way(member, other, weather);
            self.one_way(other, member, weather);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl State {
    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        self.links.entry((from, to)).or_insert_with(|| Link {
            weather: Weather::FINE,
            busy_until: Instant::now(),
        })
    }

    fn who(&self, address: SocketAddr) -> Option<usize> {
        self.ports.iter().position(|port| *port == address)
    }

    /// When each copy of a datagram arrives. Who is no member, as one that asks for a place, always has fine weather.
    fn fate(&mut self, from: Option<usize>, to: Option<usize>, bytes: usize) -> Vec<Duration> {
        let (Some(from), Some(to)) = (from, to) else {
            return vec![Duration::ZERO];
        };
        let weather = self.link(from, to).weather;
        let is_lost = weather.is_cut
            || bytes > weather.bytes_max
            || self.dice.random_range(0..100) < weather.loss_percent;
        if is_lost {
            return Vec::new();
        }
        let now = Instant::now();
        let mut waits = weather.delay_min;
        if let Some(rate) = weather.bytes_per_second {
            let link = self.link(from, to);
            let free = link.busy_until.max(now);
            if free - now > QUEUE_TIME_MAX {
                return Vec::new();
            }
            link.busy_until = free + Duration::from_secs_f64(bytes as f64 / f64::from(rate));
            waits += link.busy_until - now;
        }
        let copies = 1 + usize::from(self.dice.random_range(0..100) < weather.double_percent);
        let mut late = || match weather.delay_max {
            Duration::ZERO => Duration::ZERO,
            most => self.dice.random_range(Duration::ZERO..most),
        };
        (0..copies).map(|_| waits + late()).collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what others send to a member; each sender has a socket of its own towards it, by which the answers come back.
async fn relay(front: Arc<UdpSocket>, member: usize, state: Arc<Mutex<State>>) {
    let target = lock(&state).ports[member];
    let mut senders: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error is a word about something that was sent before: nobody listens there now.
        let Ok((bytes, sender)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        let back = match senders.get(&sender) {
            Some(back) => back.clone(),
            None => {
                let Ok(back) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else {
                    continue;
                };
                let back = Arc::new(back);
                senders.insert(sender, back.clone());
                tokio::spawn(answers(
                    back.clone(),
                    front.clone(),
                    member,
                    sender,
                    state.clone(),
                ));
                back
            }
        };
        let delays = {
            let mut state = lock(&state);
            let from = state.who(sender);
            state.fate(from, Some(member), bytes)
        };
        pass(&back, target, &buffer[..bytes], delays).await;
    }
}

/// Takes what a member answers to one sender.
async fn answers(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    member: usize,
    sender: SocketAddr,
    state: Arc<Mutex<State>>,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((bytes, _)) = back.recv_from(&mut buffer).await else {
            continue;
        };
        let delays = {
            let mut state = lock(&state);
            let to = state.who(sender);
            state.fate(Some(member), to, bytes)
        };
        pass(&front, sender, &buffer[..bytes], delays).await;
    }
}

async fn pass(socket: &Arc<UdpSocket>, to: SocketAddr, datagram: &[u8], delays: Vec<Duration>) {
    for delay in delays {
        if delay.is_zero() {
            let _ = socket.send_to(datagram, to).await;
            continue;
        }
        let (socket, datagram) = (socket.clone(), datagram.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = socket.send_to(&datagram, to).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket as Plain;

    /// Two members on plain sockets; what the second one receives of numbers that the first one sends.
    fn received(weather: Weather, count: u8) -> Vec<u8> {
        let members = [(); 2].map(|()| Plain::bind("127.0.0.1:0").unwrap());
        let ports: Vec<u16> = members
            .iter()
            .map(|member| member.local_addr().unwrap().port())
            .collect();
        let network = Network::new(7, &ports);
        network.one_way(0, 1, weather);
        for number in 0..count {
            members[0].send_to(&[number], network.address(1)).unwrap();
        }
        members[1]
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut numbers = Vec::new();
        let mut datagram = [0];
        while let Ok((_, from)) = members[1].recv_from(&mut datagram) {
            numbers.push(datagram[0]);
            // What is answered comes from where the sender thought that it was sending to.
            members[1].send_to(&datagram, from).unwrap();
            let (_, answered) = members[0].recv_from(&mut datagram).unwrap();
            assert_eq!(answered, network.address(1));
        }
        numbers
    }

    #[test]
    fn a_network_does_what_its_weather_says() {
        assert_eq!(received(Weather::FINE, 50), (0..50).collect::<Vec<_>>());
        assert_eq!(received(Weather::CUT, 50), [0_u8; 0]);
        let lossy = Weather {
            loss_percent: 30,
            ..Weather::FINE
        };
        let some = received(lossy, 200).len();
        assert!((100..180).contains(&some), "{some} of 200 with a loss of 30 %");
        let stormy = Weather {
            double_percent: 50,
            delay_max: Duration::from_millis(20),
            ..Weather::FINE
        };
        let numbers = received(stormy, 100);
        assert!(numbers.len() > 120 && !numbers.is_sorted(), "{numbers:?}");
        let small = Weather {
            bytes_max: 0,
            ..Weather::FINE
        };
        assert_eq!(received(small, 10), [0_u8; 0]);
    }
}
