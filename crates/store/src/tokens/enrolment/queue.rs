//! Draws of one node on the same registration token, put into one transaction where that saves
//! commits.

use std::collections::HashMap;

use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Enrol, Enrolled, Unavailable};
use parking_lot::Mutex;

use super::draw::{draw, draw_all};
use crate::SqlStore;

/// Draws in one transaction at most: bounds how long the first of them waits.
const BATCH_MAX: usize = 64;

/// Draws that wait for the one before them, by registration token.
///
/// A database server locks the row of a registration token until the commit is durable, so one
/// transaction per draw would be one draw per commit. Those of a node that wait for the same row
/// share a transaction. An engine with one writer gathers by itself.
#[derive(Default)]
pub(crate) struct Draws(Mutex<HashMap<TokenId, Vec<Waiting>>>);

/// A draw and where its outcome goes.
struct Waiting {
    enrol: Enrol,
    answer: tokio::sync::oneshot::Sender<Result<Enrolled, Unavailable>>,
}

/// Nobody runs the transaction any more that the draw was to be part of.
#[derive(Debug, thiserror::Error)]
#[error("the transaction of this draw was given up")]
struct GivenUp;

impl Draws {
    /// Runs a draw, together with others where that saves commits.
    pub(super) async fn run(
        &self,
        store: &SqlStore,
        enrol: Enrol,
    ) -> Result<Enrolled, Unavailable> {
        if store.gathers_writes() {
            return store.write(enrol, |tx, enrol| Box::pin(draw(tx, enrol))).await;
        }
        let registration = enrol.registration;
        let (answer, answered) = tokio::sync::oneshot::channel();
        let leads = {
            let mut queues = self.0.lock();
            let leads = !queues.contains_key(&registration);
            queues.entry(registration).or_default().push(Waiting { enrol, answer });
            leads
        };
        if leads {
            // In a task of its own: whoever came first may go away before the others are done.
            if let Some(store) = store.handle() {
                tokio::spawn(async move {
                    let mut turn = Turn { draws: &store.draws, registration, over: false };
                    turn.lead(&store).await;
                });
            }
        }
        answered.await.unwrap_or_else(|_| Err(Unavailable::new(GivenUp)))
    }

    /// The next that wait; none any more if there are none.
    fn next(&self, registration: TokenId) -> Vec<Waiting> {
        let mut queues = self.0.lock();
        let Some(queue) = queues.get_mut(&registration) else { return Vec::new() };
        if queue.is_empty() {
            queues.remove(&registration);
            return Vec::new();
        }
        let taken = queue.len().min(BATCH_MAX);
        queue.drain(..taken).collect()
    }
}

/// The turn of one task to run what waits for a registration token.
struct Turn<'d> {
    draws: &'d Draws,
    registration: TokenId,
    over: bool,
}

impl Turn<'_> {
    /// Runs what waits, batch after batch, until nothing does.
    async fn lead(&mut self, store: &SqlStore) {
        loop {
            let batch = self.draws.next(self.registration);
            if batch.is_empty() {
                self.over = true;
                return;
            }
            let (enrols, answers): (Vec<Enrol>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.enrol, waiting.answer)).unzip();
            let number = enrols.len();
            let said = store.write(enrols, |tx, enrols| Box::pin(draw_all(tx, enrols))).await;
            let said = match said {
                Ok(said) => said.into_iter().map(Ok).collect(),
                Err(unavailable) => vec![Err(unavailable); number],
            };
            for (answer, said) in answers.into_iter().zip(said) {
                // Nobody waits any more when this fails.
                let _ = answer.send(said);
            }
        }
    }
}

/// A task that ends before its time, with its runtime say, leaves nobody waiting for ever.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.draws.0.lock().remove(&self.registration);
        }
    }
}
