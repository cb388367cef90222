//! What an outage did to the requests that were made meanwhile, printed and bounded.

use std::time::{Duration, Instant};

use super::ledger::{Act, End, Made};

/// A request that is sent so long after the database takes writes again is answered: HAProxy looks
/// once a second, and a node waits three seconds for a connection that leads nowhere.
pub(crate) const SLACK: Duration = Duration::from_secs(5);

/// Something that broke on purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) what: &'static str,
    pub(crate) broke: Instant,
    /// When it worked again, seen from outside.
    pub(crate) usable: Instant,
    pub(crate) whom: Whom,
}

/// Who is struck by an outage, and what they say meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The database: every node says 503.
    Database,
    /// A node that was killed: it says nothing.
    Killed(usize),
    /// A node without a way to the database: it says 503, and the others are as ever.
    CutOff(usize),
}

impl Outage {
    /// Whether a request that failed may have failed because of it.
    pub(crate) fn explains(&self, made: &Made) -> bool {
        let then = made.done >= self.broke && made.sent <= self.usable + SLACK;
        then && match made.end {
            End::Answered => true,
            End::Unavailable => self.whom == Whom::Database || self.whom == Whom::CutOff(made.node),
            // A node that runs has to say something.
            End::Silent => self.whom == Whom::Killed(made.node),
        }
    }

    /// Prints how long it lasted, for whom, and how much was refused.
    pub(crate) fn print(&self, requests: &[Made], nodes: usize) {
        let since = |then: Instant| then.saturating_duration_since(self.broke).as_secs_f64();
        println!("{}: over after {:.1} s", self.what, since(self.usable));
        let failed: Vec<&Made> = requests
            .iter()
            .filter(|made| made.end != End::Answered && self.explains(made))
            .collect();
        for act in Act::ALL {
            let of_act = || failed.iter().filter(|made| made.act == act);
            let unavailable = of_act().filter(|made| made.end == End::Unavailable).count();
            let silent = of_act().count() - unavailable;
            let longest = of_act().map(|made| made.done - made.sent).max().unwrap_or_default();
            println!(
                "  {act:?}: {unavailable} times 503, {silent} times no answer, the longest after {:.1} s",
                longest.as_secs_f64()
            );
        }
        if let Some(last) = failed.iter().map(|made| made.sent).max() {
            println!("  the last request that failed was sent after {:.1} s", since(last));
        }
        for node in 0..nodes {
            let mine = |made: &&Made| {
                made.node == node && made.end == End::Answered && made.sent >= self.broke
            };
            let first = |act| requests.iter().filter(mine).find(|made| made.act == act);
            let text = |act| {
                first(act).map_or("never".to_owned(), |made| format!("{:.1} s", since(made.done)))
            };
            println!(
                "  node{}: the first issue after {}, the first revoke after {}",
                node + 1,
                text(Act::Issue),
                text(Act::Revoke)
            );
        }
    }
}

/// Every request that failed without an outage to explain it, and every node that answers no more
/// after the last one.
pub(crate) fn judge(requests: &[Made], outages: &[Outage], nodes: usize) -> Vec<String> {
    let mut faults: Vec<String> = requests
        .iter()
        .filter(|made| made.end != End::Answered)
        .filter(|made| !outages.iter().any(|outage| outage.explains(made)))
        .map(|made| {
            let since = outages.first().map_or(made.sent, |outage| outage.broke);
            let at = if made.sent >= since {
                format!("{:.1} s after", (made.sent - since).as_secs_f64())
            } else {
                format!("{:.1} s before", (since - made.sent).as_secs_f64())
            };
            let node = made.node + 1;
            format!("{:?} {:?} through node{node}, {at} the first outage began", made.act, made.end)
        })
        .collect();
    let end = outages.iter().map(|outage| outage.usable + SLACK).max();
    for node in 0..nodes {
        for act in Act::ALL {
            let answered = |made: &Made| {
                let late = end.is_none_or(|end| made.sent > end);
                made.node == node && made.act == act && made.end == End::Answered && late
            };
            if !requests.iter().any(answered) {
                faults.push(format!("node{} answers no {act:?} any more", node + 1));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn what_fails_outside_of_an_outage_is_a_fault() {
        let start = now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let made =
            |end, sent| Made { node: 0, act: Act::Issue, end, sent: at(sent), done: at(sent) };
        let database = Outage { what: "it", broke: at(10), usable: at(20), whom: Whom::Database };
        let explained = |end, sent| database.explains(&made(end, sent));
        assert!(!explained(End::Unavailable, 9));
        assert!(explained(End::Unavailable, 15));
        assert!(explained(End::Unavailable, 25));
        assert!(!explained(End::Unavailable, 26));
        // The node runs on: it has to say something.
        assert!(!explained(End::Silent, 15));
        let killed = Outage { whom: Whom::Killed(0), ..database };
        assert!(killed.explains(&made(End::Silent, 15)));
        assert!(!killed.explains(&made(End::Unavailable, 15)));
        let mut cut = Outage { whom: Whom::CutOff(0), ..database };
        assert!(cut.explains(&made(End::Unavailable, 15)));
        assert!(!cut.explains(&made(End::Silent, 15)));
        // The others have no excuse.
        cut.whom = Whom::CutOff(1);
        assert!(!cut.explains(&made(End::Unavailable, 15)));
    }

    #[test]
    fn a_node_must_answer_everything_after_the_last_outage() {
        let start = now();
        let outage = Outage { what: "it", broke: start, usable: start, whom: Whom::Database };
        let sent = start + SLACK + Duration::from_secs(1);
        let end = End::Answered;
        let all = Act::ALL.map(|act| Made { node: 0, act, end, sent, done: sent });
        assert_eq!(judge(&all, std::slice::from_ref(&outage), 1), Vec::<String>::new());
        assert_eq!(judge(&all[..2], &[outage], 2).len(), 4);
    }
}
