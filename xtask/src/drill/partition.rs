//! The drill of a network that parts: of two nodes one is cut off from the database, in network
//! namespaces of the kernel, where packets are lost and no connection is closed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::counting::{Came, Counting, Use};
use super::ledger::{Act, End, Ledger, Made, REVOKED_WITHIN, State};
use super::load::{Load, REALM, SERVICE, audit};
use super::outage::{Outage, SLACK, Whom, judge};
use crate::clock::{self, Deadline};
use crate::cluster::network::{self, Cut, Network};
use crate::cluster::nodes::{self, Node};
use crate::cluster::place::Place;
use crate::cluster::single::Single;
use crate::http::Api;
use crate::interrupt::{until, wait};

/// Nodes on machines of their own.
const NODES: usize = 2;
/// The one that is cut off.
const CUT_OFF: usize = 1;
/// What is done to its network, one after the other.
const CUTS: [(&str, Cut); 3] = [
    ("the cable of node2 is pulled", Cut::Cable),
    ("every packet of node2 is lost", Cut::Silence),
    ("every answer to node2 is lost", Cut::Answers),
];
/// Load before anything breaks.
const BEFORE: Duration = Duration::from_secs(5);
/// How long each cut lasts: longer than the database lets a transaction stand that nobody goes on
/// with (15 s).
const CUT_FOR: Duration = Duration::from_secs(20);
/// Load after each cut.
const AFTER: Duration = Duration::from_secs(10);
/// How long the database holds what a node held that is cut off, until others get it: the 15 s
/// of above, and the 4 s for which a session waits for a lock.
const HELD: Duration = Duration::from_secs(20);
/// The longest that somebody waits for the answer of a node that is cut off: a write, its commit
/// and the look for what became of it (8 s, 5 s and 4 s), and some for a slow machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Runs the drill and returns what did not hold.
///
/// # Errors
///
/// Fails when the network, the database or a node does not start.
pub(crate) fn partition(deadline: Deadline) -> Result<Vec<String>> {
    let faults = in_namespaces(deadline);
    // Whatever it came to: the machine is as it was.
    network::is_gone()?;
    faults
}

fn in_namespaces(deadline: Deadline) -> Result<Vec<String>> {
    // First, so that it goes last: programs that run in it would keep it.
    let network = Network::make(NODES)?;
    let place = Place::make()?;
    let binary = place.server(deadline)?;
    let database = Single::start_at(&place, network.database(), Network::database_among_nodes())?;
    let (mut nodes, key) = nodes::install_at(&place, &binary, &database.url, network.nodes())?;
    nodes.iter_mut().try_for_each(Node::start)?;
    let apis: Vec<Api> = nodes.iter().map(|node| node.api(&key)).collect();
    println!("load through {NODES} nodes in network namespaces");
    let load = Load::start(&apis)?;
    let counting = Counting::start(&apis)?;
    wait(BEFORE)?;

    let mut faults = Vec::new();
    let mut cuts = Vec::new();
    for (what, how) in CUTS {
        let (parted, wrong) = Parted::play(&network, how, what, &load.ledger, &apis)?;
        cuts.push(parted);
        faults.extend(wrong);
        wait(AFTER)?;
    }
    let ledger = load.stop();
    let breaks: Vec<Instant> = cuts.iter().map(|cut| cut.outage.broke).collect();
    let (uses, wrong) = counting.stop(&breaks)?;
    faults.extend(wrong);

    let requests = ledger.requests();
    faults.extend(ledger.faults());
    for cut in &cuts {
        cut.outage.print(&requests, NODES);
        println!("  {}", recovery(&cut.outage, &requests));
        println!("  {}", counted(&cut.outage, &uses));
        faults.extend(cut.unheard(&requests));
    }
    let outages: Vec<Outage> = cuts.iter().map(|cut| cut.outage).collect();
    faults.extend(judge(&requests, &outages, NODES));
    faults.extend(uses.iter().filter_map(|one| unexplained(one, &outages)));
    let (good, revoked, lost) = audit(&apis, &ledger);
    println!(
        "{} requests; afterwards {good} good and {revoked} revoked tokens looked at on each node",
        requests.len()
    );
    faults.extend(lost);
    // They ran all the time: nobody started one again.
    faults.extend(nodes::ended(&mut nodes));
    nodes.iter_mut().for_each(Node::stop);
    database.stop(&place)?;
    Ok(faults)
}

/// One cut, from its beginning until the node knows what it missed.
#[derive(Debug)]
struct Parted {
    outage: Outage,
    /// From here on nothing got through.
    since: Instant,
}

impl Parted {
    fn play(
        network: &Network,
        how: Cut,
        what: &'static str,
        ledger: &Ledger,
        apis: &[Api],
    ) -> Result<(Self, Vec<String>)> {
        let broke = clock::now();
        network.cut(CUT_OFF, how)?;
        let since = clock::now();
        println!("{what}");
        wait(CUT_FOR)?;
        // What was revoked at the other node, while this one could not hear of it.
        let missed: Vec<String> = ledger
            .entries()
            .into_iter()
            .filter(|entry| is_missed(entry.state, broke))
            .map(|entry| entry.secret)
            .collect();
        network.mend(CUT_OFF, how)?;
        let usable = clock::now();
        let outage = Outage { what, broke, usable, whom: Whom::CutOff(CUT_OFF) };
        let mut faults = Vec::new();
        if missed.is_empty() {
            faults.push(format!("{what}: nothing was revoked meanwhile"));
        }
        let api = apis.get(CUT_OFF).context("a node that is cut off")?;
        let mut longest = Duration::ZERO;
        for secret in &missed {
            let active = until("node2 answers again", SLACK * 2, || active(api, secret))?;
            longest = longest.max(usable.elapsed());
            if active {
                faults.push(format!("{what}: a token that was revoked meanwhile was accepted"));
            }
        }
        println!(
            "{} tokens were revoked at node1 meanwhile; node2 has refused each of them {:.1} s \
             after the end",
            missed.len(),
            longest.as_secs_f64()
        );
        faults.extend(reached(apis, what)?);
        Ok((Self { outage, since }, faults))
    }

    /// What is wrong with what the node said while it was cut off: it trusts its memory for a
    /// second, and after that it can know nothing until the end of the cut.
    fn unheard(&self, requests: &[Made]) -> Vec<String> {
        let outage = &self.outage;
        let from = self.since + REVOKED_WITHIN;
        let mine = || requests.iter().filter(|made| made.node == CUT_OFF);
        let meanwhile = |made: &&Made| made.sent > from && made.done < outage.usable;
        let mut faults = Vec::new();
        for act in Act::ALL {
            let of_act = || mine().filter(meanwhile).filter(|made| made.act == act);
            let answered = of_act().filter(|made| made.end == End::Answered).count();
            if answered > 0 {
                faults.push(format!("{}: {answered} times {act:?} was answered", outage.what));
            }
            // Else nothing was cut, or nobody asked.
            if !of_act().any(|made| made.end == End::Unavailable) {
                faults.push(format!("{}: no {act:?} was answered with 503", outage.what));
            }
        }
        let of_cut = mine().filter(|made| outage.explains(made));
        let slow = of_cut.map(|made| made.done.saturating_duration_since(made.sent)).max();
        if let Some(slow) = slow.filter(|slow| *slow > ANSWERED_WITHIN) {
            faults.push(format!("{}: an answer took {:.1} s", outage.what, slow.as_secs_f64()));
        }
        faults
    }
}

/// Whether a token was revoked at the other node after that.
fn is_missed(state: State, since: Instant) -> bool {
    matches!(state, State::Revoked { node, at } if node != CUT_OFF && at > since)
}

/// Revokes a token at the other node that this one knows, and looks when it is refused here.
fn reached(apis: &[Api], what: &str) -> Result<Option<String>> {
    let (Some(first), Some(second)) = (apis.first(), apis.get(CUT_OFF)) else {
        return Ok(None);
    };
    let wish = json!({ "kind": "personal_access_token", "user": super::load::user_of(0),
                       "name": "after", "services": [SERVICE] });
    let issued = first.json("POST", &format!("{REALM}/tokens"), &wish)?;
    let text = |pointer| issued.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (id, secret) = (text("/token/id"), text("/secret"));
    until("node2 knows the token", SLACK, || Ok(active(second, secret)?.filter(|good| *good)))?;
    let reason = json!({ "reason": "drill" });
    first.json("POST", &format!("{REALM}/tokens/{id}/revoke"), &reason)?;
    let told = clock::now();
    let mut last = Duration::ZERO;
    until("node2 refuses the token", SLACK, || {
        let sent = told.elapsed();
        let good = active(second, secret)?;
        if good == Some(true) {
            last = sent;
        }
        Ok((good == Some(false)).then_some(()))
    })?;
    println!("a revocation at node1 after that: accepted by node2 for {:.2} s", last.as_secs_f64());
    let late = last > REVOKED_WITHIN;
    Ok(late.then(|| format!("{what}: a token was accepted {:.2} s too long", last.as_secs_f64())))
}

/// Whether a token is good; `None` while that cannot be said.
fn active(api: &Api, secret: &str) -> Result<Option<bool>> {
    let wish = json!({ "token": secret, "service": SERVICE });
    let answer = api.send("POST", &format!("{REALM}/verify"), &wish.to_string())?;
    if answer.status == 503 {
        return Ok(None);
    }
    Ok(answer.json()?["active"].as_bool())
}

/// How soon after the end of the cut the node did each act again.
fn recovery(outage: &Outage, requests: &[Made]) -> String {
    let first = |act| {
        let again =
            |made: &&Made| made.node == CUT_OFF && made.act == act && made.end == End::Answered;
        let after = |made: &Made| made.done.checked_duration_since(outage.usable);
        requests.iter().filter(again).filter_map(after).min()
    };
    let each = Act::ALL.map(|act| match first(act) {
        Some(after) => format!("{act:?} after {:.1} s", after.as_secs_f64()),
        None => format!("{act:?} never"),
    });
    format!("node2 again, from the end of the cut: {}", each.join(", "))
}

/// What became of the uses of limited tokens, through each node.
fn counted(outage: &Outage, uses: &[Use]) -> String {
    let during = |one: &&Use| one.sent >= outage.broke && one.sent <= outage.usable + SLACK;
    let count = |node, came| {
        let of_node = uses.iter().filter(during).filter(|one| one.node == node);
        of_node.filter(|one| one.came == came).count()
    };
    let line = |node| {
        let (good, down) = (count(node, Came::Accepted), count(node, Came::Unavailable));
        format!("node{}: {good} uses counted, {down} times 503", node + 1)
    };
    format!("{}; {}", line(0), line(CUT_OFF))
}

/// A use that had no answer, and no reason for that.
fn unexplained(one: &Use, outages: &[Outage]) -> Option<String> {
    let within = |from: Instant, to: Instant| one.done >= from && one.sent <= to;
    let explained = match one.came {
        Came::Accepted | Came::Refused => true,
        Came::Unavailable => outages.iter().any(|outage| {
            // The other node waits for the row that the one which is gone holds.
            let end = if one.node == CUT_OFF { outage.usable + SLACK } else { outage.broke + HELD };
            within(outage.broke, end)
        }),
        Came::Silent => false,
    };
    (!explained).then(|| format!("a use through node{} came to {:?}", one.node + 1, one.came))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut() -> Parted {
        let broke = clock::now();
        let usable = broke + CUT_FOR;
        let outage = Outage { what: "cut", broke, usable, whom: Whom::CutOff(CUT_OFF) };
        Parted { outage, since: broke }
    }

    fn made(cut: &Parted, act: Act, end: End, after: Duration) -> Made {
        let sent = cut.since + after;
        Made { node: CUT_OFF, act, end, sent, done: sent + Duration::from_millis(1) }
    }

    #[test]
    fn a_node_that_is_cut_off_trusts_its_memory_for_a_second_and_says_503_then() {
        let cut = cut();
        let (early, late) = (Duration::from_millis(900), Duration::from_secs(3));
        let mut requests: Vec<Made> =
            Act::ALL.iter().map(|act| made(&cut, *act, End::Unavailable, late)).collect();
        requests.push(made(&cut, Act::Verify, End::Answered, early));
        assert_eq!(cut.unheard(&requests), Vec::<String>::new());
        requests.push(made(&cut, Act::Verify, End::Answered, late));
        assert_eq!(cut.unheard(&requests), ["cut: 1 times Verify was answered"]);
        // A cut that cuts nothing is not one.
        assert_eq!(cut.unheard(&[]).len(), 3);
        let mut slow = made(&cut, Act::Verify, End::Unavailable, late);
        slow.done = slow.sent + ANSWERED_WITHIN * 2;
        requests.push(slow);
        assert_eq!(cut.unheard(&requests).len(), 2);
    }

    #[test]
    fn the_other_node_waits_for_what_is_held_and_no_longer() {
        let outages = [cut().outage];
        let came = |node, came, after| {
            let sent = outages[0].broke + after;
            unexplained(&Use::of(node, came, sent), &outages).is_none()
        };
        let (during, after) = (Duration::from_secs(10), HELD + Duration::from_secs(1));
        assert!(came(0, Came::Unavailable, during) && came(1, Came::Unavailable, during));
        assert!(!came(0, Came::Unavailable, after) && came(1, Came::Unavailable, after));
        assert!(!came(1, Came::Silent, during) && came(0, Came::Refused, after));
    }
}
