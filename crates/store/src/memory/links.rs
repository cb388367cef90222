//! One-time links, in memory.

use async_trait::async_trait;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Change, Issued, Link, LinkIssue, LinkOpen, LinkOpened, LinkStore, Unavailable,
};

use super::{Earlier, MemoryStore, State};
use crate::links::end_of;

impl State {
    fn issue_by_link(&mut self, issue: &LinkIssue) -> Issued {
        let LinkIssue { token, link, limits, idempotency, event } = issue;
        match self.earlier(idempotency.as_ref(), token.created_at) {
            Earlier::Answered(answer) => return Issued::Replayed(answer),
            Earlier::Other => return Issued::KeyReused,
            Earlier::None => {}
        }
        if self.links.contains_key(&link.id) {
            return Issued::Collision;
        }
        let issued = self.arrive(token, None, limits, idempotency.as_ref(), event);
        if matches!(issued, Issued::Done { .. }) {
            self.links.insert(link.id, link.clone());
        }
        issued
    }

    fn open_link(&mut self, open: &LinkOpen) -> LinkOpened {
        let link = self.links.get(&open.id).filter(|link| link.token == open.token);
        let token = self.tokens.get(&open.token).filter(|held| held.token.realm == open.realm);
        let opens = link.is_some_and(|link| link.opened_at.is_none() && link.expires_at > open.at);
        let takes = token.is_some_and(|held| {
            let end = held.token.validity.expires_at();
            held.token.revocation.is_none()
                && end.is_none_or(|end| end > open.at)
                && held.secrets.is_empty()
        });
        if !(opens && takes) {
            return LinkOpened::Refused(end_of(link, open.at));
        }
        if self.secret_is_taken(&open.secret) {
            return LinkOpened::Collision;
        }
        if let Some(link) = self.links.get_mut(&open.id) {
            link.opened_at = Some(open.at);
            link.sealed = None;
        }
        let Some(held) = self.tokens.get_mut(&open.token) else {
            return LinkOpened::Refused(end_of(None, open.at));
        };
        held.secrets.push(open.secret.clone());
        held.token.version += 1;
        let shown = held.shown();
        self.record(&open.event);
        self.changed(Change::Token(open.token), open.at);
        LinkOpened::Done(shown)
    }
}

#[async_trait]
impl LinkStore for MemoryStore {
    async fn link_issue(&self, issue: LinkIssue) -> Result<Issued, Unavailable> {
        Ok(self.write(|state| state.issue_by_link(&issue)))
    }

    async fn link_find(&self, id: TokenId) -> Result<Option<Link>, Unavailable> {
        Ok(self.read(|state| state.links.get(&id).cloned()))
    }

    async fn link_open(&self, open: LinkOpen) -> Result<LinkOpened, Unavailable> {
        Ok(self.write(|state| state.open_link(&open)))
    }
}
