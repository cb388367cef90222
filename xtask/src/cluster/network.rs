//! A network of the kernel's own: each machine is a network namespace, a switch joins them, and
//! whoever is cut off loses packets and not connections.
//!
//! Between the machines and the switch run the nodes and their database. Every machine has a
//! second cable, to this program: what somebody outside asks of a node that is cut off must still
//! arrive, or nobody would hear what it answers.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::stdout_of;

/// Where iproute2 keeps namespaces that have a name.
const NAMESPACES: &str = "/run/netns";
/// What the names begin with; the id of the process that made them follows.
const PREFIX: &str = "counterfoil-";
/// The switch, as a bridge of its own namespace.
const SWITCH: &str = "switch";
/// The machine of the database.
const DATABASE: &str = "db";
/// A machine's cable to the switch, and one to this program.
const CABLES: [&str; 2] = ["store", "clients"];
/// The table of nftables that drops what arrives.
const TABLE: &str = "cut";
/// Where PostgreSQL listens on its machine.
const DATABASE_PORT: u16 = 5432;
/// Where a node listens on its machine.
const NODE_PORT: u16 = 8780;

/// How a machine is cut off from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The cable is pulled: the kernel knows that there is no way.
    Cable,
    /// Every packet is lost, in both directions, and nobody is told.
    Silence,
    /// What the machine sends arrives, and no answer comes back.
    Answers,
}

/// A machine as its programs and those who ask them see it.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// Where it is reached from outside.
    pub(crate) address: SocketAddr,
    /// The namespace that its programs run in; `None`: that of this machine.
    namespace: Option<String>,
}

impl Spot {
    /// On this machine, as everything else is.
    pub(crate) fn here(address: SocketAddr) -> Self {
        Self { address, namespace: None }
    }

    /// Whether it is a namespace of its own.
    pub(crate) fn is_apart(&self) -> bool {
        self.namespace.is_some()
    }

    /// A command that runs there as the user `who`, or as ourselves.
    pub(crate) fn command(&self, program: &Path, who: Option<(u32, u32)>) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        // It becomes the program and leaves no process between: a kill reaches the right one.
        let mut enter = Command::new("nsenter");
        enter.arg(format!("--net={NAMESPACES}/{namespace}"));
        if let Some((uid, gid)) = who {
            // Only root may enter, so the user changes behind the door.
            enter.arg(format!("--setuid={uid}")).arg(format!("--setgid={gid}"));
        }
        enter.arg("--").arg(program);
        enter
    }
}

/// Machines and their switch. Everything of it goes with this value.
#[derive(Debug)]
pub(crate) struct Network {
    process: u32,
    nodes: usize,
}

impl Network {
    /// Makes a switch, a machine for the database and `nodes` others.
    ///
    /// # Errors
    ///
    /// Fails where this is not root, or the kernel refuses.
    pub(crate) fn make(nodes: usize) -> Result<Self> {
        sweep();
        // Before anything of it exists: what was made goes again when the rest cannot be made.
        let network = Self { process: std::process::id(), nodes };
        let switch = network.namespace(SWITCH);
        network.machine(SWITCH)?;
        ip(&["-n", &switch, "link", "add", "name", SWITCH, "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "dev", SWITCH, "up"])?;
        for number in 0..=nodes {
            network.connect(number).with_context(|| format!("machine {number}"))?;
        }
        Ok(network)
    }

    /// The machine of the database.
    pub(crate) fn database(&self) -> Spot {
        self.spot(0, DATABASE_PORT)
    }

    /// Where the nodes find the database.
    pub(crate) fn database_among_nodes() -> SocketAddr {
        SocketAddr::from((store_address(0), DATABASE_PORT))
    }

    /// The machines of the nodes.
    pub(crate) fn nodes(&self) -> Vec<Spot> {
        (1..=self.nodes).map(|number| self.spot(number, NODE_PORT)).collect()
    }

    /// Cuts the node of this place in [`Network::nodes`] off from the switch.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses.
    pub(crate) fn cut(&self, node: usize, how: Cut) -> Result<()> {
        let (machine, [store, _]) = (self.namespace(&name_of(node + 1)), CABLES);
        match how {
            Cut::Cable => ip(&["-n", &machine, "link", "set", "dev", store, "down"]),
            Cut::Answers => drop_all(&machine, store),
            Cut::Silence => {
                drop_all(&machine, store)?;
                drop_all(&self.namespace(SWITCH), &name_of(node + 1))
            }
        }
    }

    /// Takes a cut back.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses.
    pub(crate) fn mend(&self, node: usize, how: Cut) -> Result<()> {
        let (machine, [store, _]) = (self.namespace(&name_of(node + 1)), CABLES);
        match how {
            Cut::Cable => ip(&["-n", &machine, "link", "set", "dev", store, "up"]),
            Cut::Answers => drop_nothing(&machine),
            Cut::Silence => {
                drop_nothing(&machine)?;
                drop_nothing(&self.namespace(SWITCH))
            }
        }
    }

    fn spot(&self, number: usize, port: u16) -> Spot {
        let [_, theirs] = self.clients_addresses(number);
        let namespace = Some(self.namespace(&name_of(number)));
        Spot { address: SocketAddr::from((theirs, port)), namespace }
    }

    fn machine(&self, name: &str) -> Result<()> {
        let namespace = self.namespace(name);
        ip(&["netns", "add", &namespace])?;
        ip(&["-n", &namespace, "link", "set", "dev", "lo", "up"])
    }

    /// A machine with its two cables.
    fn connect(&self, number: usize) -> Result<()> {
        let (name, switch) = (name_of(number), self.namespace(SWITCH));
        self.machine(&name)?;
        let machine = self.namespace(&name);
        let [store, clients] = CABLES;
        let there = ["type", "veth", "peer", "name"];
        let cable = |end: &[&str], to: &str| {
            ip(&[end, &there[..], &[to, "netns", machine.as_str()]].concat())
        };
        cable(&["-n", &switch, "link", "add", "name", &name], store)?;
        ip(&["-n", &switch, "link", "set", "dev", &name, "master", SWITCH])?;
        ip(&["-n", &switch, "link", "set", "dev", &name, "up"])?;
        let here = self.link(number);
        cable(&["link", "add", "name", &here], clients)?;
        let [ours, theirs] = self.clients_addresses(number);
        ip(&["addr", "add", &format!("{ours}/30"), "dev", &here])?;
        ip(&["link", "set", "dev", &here, "up"])?;
        for (link, address) in
            [(store, format!("{}/24", store_address(number))), (clients, format!("{theirs}/30"))]
        {
            ip(&["-n", &machine, "addr", "add", &address, "dev", link])?;
            ip(&["-n", &machine, "link", "set", "dev", link, "up"])?;
        }
        Ok(())
    }

    fn namespace(&self, name: &str) -> String {
        format!("{PREFIX}{}-{name}", self.process)
    }

    /// This program's end of a machine's cable; the kernel allows 15 characters.
    fn link(&self, number: usize) -> String {
        format!("cf{}n{number}", self.process)
    }

    /// Our end and theirs of a machine's cable to this program.
    ///
    /// RFC 2544 keeps 198.18.0.0/15 for networks that are made to be measured.
    fn clients_addresses(&self, number: usize) -> [Ipv4Addr; 2] {
        let [.., third] = self.process.to_be_bytes();
        let fourth = u8::try_from(number * 4).unwrap_or(u8::MAX - 3);
        [1, 2].map(|end| Ipv4Addr::new(198, 18, third, fourth + end))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for number in 0..=self.nodes {
            // Takes its other end along, even if a program still holds that machine.
            silently(Command::new("ip").args(["link", "del", "dev", &self.link(number)]));
        }
        for name in names().filter(|name| maker_of(name) == Some(self.process)) {
            remove(&name);
        }
    }
}

/// The first machine is the database's.
fn name_of(number: usize) -> String {
    if number == 0 { DATABASE.to_owned() } else { format!("node{number}") }
}

/// Among the nodes and their database; nobody else is in this network.
fn store_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, u8::try_from(number + 1).unwrap_or(u8::MAX))
}

fn ip(arguments: &[&str]) -> Result<()> {
    stdout_of(Command::new("ip").args(arguments)).map(drop)
}

/// Loses whatever arrives by a cable, before the kernel looks at it.
fn drop_all(namespace: &str, link: &str) -> Result<()> {
    let rules = format!(
        "add table netdev {TABLE}; add chain netdev {TABLE} arriving \
         {{ type filter hook ingress device \"{link}\" priority 0; policy drop; }}"
    );
    stdout_of(Command::new("ip").args(["netns", "exec", namespace, "nft", &rules])).map(drop)
}

fn drop_nothing(namespace: &str) -> Result<()> {
    let rules = format!("delete table netdev {TABLE}");
    stdout_of(Command::new("ip").args(["netns", "exec", namespace, "nft", &rules])).map(drop)
}

/// Namespaces of ours, and of those who came before.
fn names() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| maker_of(name).is_some())
}

/// The process that made a namespace of this name.
fn maker_of(name: &str) -> Option<u32> {
    let (process, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    process.parse().ok()
}

/// Removes what a run has left behind that was killed with kill -9.
fn sweep() {
    let gone = |process: u32| !Path::new(&format!("/proc/{process}")).exists();
    for name in names().filter(|name| maker_of(name).is_some_and(gone)) {
        // Its programs first, or they would hold the machine without its name.
        let left = stdout_of(Command::new("ip").args(["netns", "pids", &name]));
        let left = left.unwrap_or_default();
        if !left.is_empty() {
            silently(Command::new("kill").arg("-9").args(left.split_whitespace()));
        }
        remove(&name);
    }
}

fn remove(namespace: &str) {
    silently(Command::new("ip").args(["netns", "del", namespace]));
}

/// For what may be gone already.
fn silently(command: &mut Command) {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
}

/// Fails unless nothing of the network of this process is left.
///
/// # Errors
///
/// See above.
pub(crate) fn is_gone() -> Result<()> {
    let own = std::process::id();
    let left: Vec<String> = names().filter(|name| maker_of(name) == Some(own)).collect();
    ensure!(left.is_empty(), "namespaces are left: {}", left.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_who_made_it_and_others_are_left_alone() {
        assert_eq!(maker_of("counterfoil-123-db"), Some(123));
        for other in ["counterfoil", "counterfoil-x-db", "counterfoil-123", "docker-1-db"] {
            assert_eq!(maker_of(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_and_names_of_machines_differ_and_fit() {
        // The greatest id that Linux gives a process.
        let network = Network { process: 4_194_304, nodes: 9 };
        let mut seen = Vec::new();
        for number in 0..=network.nodes {
            assert!(network.link(number).len() <= 15);
            seen.extend(network.clients_addresses(number));
            seen.push(store_address(number));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
        // Nothing of it was made, and nothing is removed.
        std::mem::forget(network);
    }

    #[test]
    fn a_program_in_a_namespace_is_started_without_a_process_between() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let program = Path::new("/bin/true");
        let words = |spot: &Spot| {
            let command = spot.command(program, Some((7, 8)));
            let mut words = vec![command.get_program().to_string_lossy().into_owned()];
            words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
            words.join(" ")
        };
        assert_eq!(words(&Spot::here(address)), "/bin/true");
        let apart = Spot { address, namespace: Some("counterfoil-1-db".to_owned()) };
        let expected =
            "nsenter --net=/run/netns/counterfoil-1-db --setuid=7 --setgid=8 -- /bin/true";
        assert_eq!(words(&apart), expected);
    }
}
