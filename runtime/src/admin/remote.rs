//! The state of another process, with the same interface as local state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::Method;
use prost::Message;
use serde::de::DeserializeOwned;

use super::wire::{HOLDINGS, Holder, Opened, Pages, Read, Reads, Row, Seen, VIEW, VIEWS};
use super::{AskError, Client};
use crate::exactly_once::Inputs;
use crate::state::{ActorKey, Base, StateError};
use crate::topic::Topic;

impl Client {
    /// The other process: its name, and the partitions it holds.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub fn holder(&mut self) -> Result<Holder, AskError> {
        let answer = self.call(Method::GET, HOLDINGS, Vec::new())?;
        self.parse(&answer)
    }

    fn parse<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, AskError> {
        let broken = |error: serde_json::Error| AskError::Broken { address: self.address().to_owned(), why: error.to_string() };
        serde_json::from_slice(answer).map_err(broken)
    }
}

/// The states of a stage's partitions in another process, each as of one moment. Closed when dropped.
pub struct RemoteView {
    client: Mutex<Client>,
    view: u64,
    seen: Vec<Seen>,
}

impl RemoteView {
    /// Opens a view of a stage.
    ///
    /// # Errors
    /// When the other process does not answer.
    pub fn open(mut client: Client, stage: &str) -> Result<Self, AskError> {
        let answer = client.call(Method::POST, &format!("{VIEWS}/{stage}"), Vec::new())?;
        let Opened { view, partitions } = client.parse(&answer)?;
        Ok(Self { client: Mutex::new(client), view, seen: partitions })
    }

    /// Its partitions, each with the input offsets that its state includes.
    pub fn partitions(&self) -> impl Iterator<Item = (u32, Inputs)> {
        self.seen.iter().map(move |seen| {
            let inputs: BTreeMap<Topic, u64> =
                seen.inputs.iter().filter_map(|(name, next)| Some((Topic::find(name)?, *next))).collect();
            (seen.partition, Inputs::of(inputs))
        })
    }

    /// Does many reads in few requests; returns the rows of each, in byte order.
    ///
    /// # Errors
    /// When the other process does not answer.
    pub fn read(&self, reads: Vec<Read>) -> Result<Vec<Vec<Row>>, AskError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Vec<Row>> = vec![Vec::new(); reads.len()];
        let mut open: Vec<(usize, Read)> = reads.into_iter().enumerate().collect();
        while !open.is_empty() {
            let question = Reads { reads: open.iter().map(|(_, read)| read.clone()).collect() };
            let answer = client.call(Method::POST, &format!("{VIEW}/{}", self.view), question.encode_to_vec())?;
            let broken = |why: String| AskError::Broken { address: client.address().to_owned(), why };
            let Pages { pages } = Pages::decode(answer).map_err(|error| broken(error.to_string()))?;
            if pages.len() != open.len() {
                return Err(broken("not an answer for every request".into()));
            }
            let mut rest = Vec::new();
            for ((at, mut read), page) in open.into_iter().zip(pages) {
                if page.more {
                    if let Some(last) = page.rows.last() {
                        read.from = [last.sub.as_slice(), &[0]].concat();
                    }
                    rest.push((at, read));
                }
                if let Some(rows) = found.get_mut(at) {
                    rows.extend(page.rows);
                }
            }
            open = rest;
        }
        Ok(found)
    }
}

impl Drop for RemoteView {
    fn drop(&mut self) {
        let client = self.client.get_mut().unwrap_or_else(PoisonError::into_inner);
        // An error does not matter: the view expires anyway.
        let _gone = client.call(Method::DELETE, &format!("{VIEW}/{}", self.view), Vec::new());
    }
}

/// One partition of a view.
#[derive(Clone)]
pub struct RemoteBase {
    /// The view.
    pub view: Arc<RemoteView>,
    /// The partition.
    pub partition: u32,
}

impl RemoteBase {
    fn read(&self, actor: &ActorKey, from: &[u8], to: &[u8], one: bool) -> Result<Vec<Row>, StateError> {
        let (actor, from, to) = (actor.0.to_vec(), from.to_vec(), to.to_vec());
        self.ask(Read { partition: self.partition, actor, from, to, one, actors: 0 })
    }

    fn ask(&self, read: Read) -> Result<Vec<Row>, StateError> {
        let found = self.view.read(vec![read]).map_err(|error| StateError::Read(error.to_string()))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

impl Base for RemoteBase {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.read(actor, sub, &[], true)?.pop().map(|row| row.value))
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        self.read(actor, from, to, false)?.iter().for_each(|row| visit(&row.sub, &row.value));
        Ok(())
    }

    fn actors(&self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        let actor = after.map_or_else(|| vec![tag], |after| after.0.to_vec());
        let actors = u32::try_from(max).unwrap_or(u32::MAX);
        let found = self.ask(Read { partition: self.partition, actor, actors, ..Read::default() })?;
        let strange = || StateError::Read("an answer with an invalid actor key".into());
        found.iter().map(|row| ActorKey::of(&row.sub).ok_or_else(strange)).collect()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
