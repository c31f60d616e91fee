//! Views: the states of a stage's partitions in this process, each at one moment, kept while a caller reads them.
//!
//! A view is a snapshot of each store, on a separate thread. Between two batches a store holds all committed data, flushed or not. So a
//! view shows what workers would read, and no worker waits for it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Holdings;
use super::wire::{Opened, Page, Pages, Read, Reads, Row, Seen};
use crate::state::{ActorKey, RocksStore, StateError, StoreError, StoreView};

/// Most views at a time.
const VIEWS_MAX: usize = 8;
/// A view that is not read for this long is closed.
const IDLE: Duration = Duration::from_mins(5);
/// A view is closed after this long: what it pins cannot be compacted away.
const AGE_MAX: Duration = Duration::from_hours(1);
/// Largest answer, bytes, approximately.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most actors in an answer.
const ACTORS_MAX: usize = 10_000;
/// Size of a row beside its bytes, approximately.
const ROW_BYTES: usize = 16;

/// Why a view cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ViewError {
    #[error("{} views are open already; ask again in a minute", VIEWS_MAX)]
    Busy,
    #[error("there is no such view: it was closed, or nobody has read it for {} s", IDLE.as_secs())]
    Gone,
    #[error("partition {0} is not in this view")]
    NotHere(u32),
    #[error("an actor's key has 17 bytes")]
    Malformed,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("no thread for it: {0}")]
    Thread(#[from] std::io::Error),
}

struct Ask {
    reads: Reads,
    answer: oneshot::Sender<Result<Pages, ViewError>>,
}

#[derive(Default)]
struct Open {
    last: u64,
    asks: BTreeMap<u64, Sender<Ask>>,
}

/// The open views. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Views(Arc<Mutex<Open>>);

impl Views {
    /// Opens a view of a stage's partitions.
    pub async fn open(&self, holdings: &Holdings, stage: &str) -> Result<Opened, ViewError> {
        let (asks, heard) = channel();
        let view = {
            let mut open = self.lock();
            if open.asks.len() >= VIEWS_MAX {
                return Err(ViewError::Busy);
            }
            open.last += 1;
            let view = open.last;
            open.asks.insert(view, asks);
            view
        };
        let (ready, opened) = oneshot::channel();
        let (views, stores) = (self.clone(), holdings.stores(stage));
        let started = std::thread::Builder::new().name(format!("view-{view}")).spawn(move || {
            serve(&stores, &heard, ready);
            views.close(view);
        });
        if let Err(error) = started {
            self.close(view);
            return Err(error.into());
        }
        let partitions = opened.await.map_err(|_| ViewError::Gone)??;
        Ok(Opened { view, partitions })
    }

    /// Reads from a view.
    pub async fn read(&self, view: u64, reads: Reads) -> Result<Pages, ViewError> {
        let asks = self.lock().asks.get(&view).cloned().ok_or(ViewError::Gone)?;
        let (answer, answered) = oneshot::channel();
        asks.send(Ask { reads, answer }).map_err(|_| ViewError::Gone)?;
        answered.await.map_err(|_| ViewError::Gone)?
    }

    /// Closes a view: its thread ends once nobody can send requests to it.
    pub fn close(&self, view: u64) {
        self.lock().asks.remove(&view);
    }

    /// A panic while the lock was held cannot leave inconsistent data here.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers requests until no sender is left.
fn serve(stores: &[(u32, RocksStore)], asks: &Receiver<Ask>, ready: oneshot::Sender<Result<Vec<Seen>, ViewError>>) {
    let views: BTreeMap<u32, StoreView<'_>> = stores.iter().map(|(partition, store)| (*partition, store.view())).collect();
    let seen = |(partition, view): (&u32, &StoreView<'_>)| -> Result<Seen, ViewError> {
        let inputs = view.inputs()?.next.into_iter().map(|(topic, next)| (topic.name().to_owned(), next)).collect();
        Ok(Seen { partition: *partition, inputs })
    };
    let seen: Result<Vec<Seen>, ViewError> = views.iter().map(seen).collect();
    let (failed, begun) = (seen.is_err(), Instant::now());
    // The requester may be gone; then nobody will read the view.
    if ready.send(seen).is_err() || failed {
        return;
    }
    while begun.elapsed() < AGE_MAX
        && let Ok(ask) = asks.recv_timeout(IDLE)
    {
        let _gone = ask.answer.send(answer(&views, &ask.reads));
    }
}

fn answer(views: &BTreeMap<u32, StoreView<'_>>, reads: &Reads) -> Result<Pages, ViewError> {
    let mut left = ANSWER_BYTES_MAX;
    let page = |read: &Read| {
        let view = views.get(&read.partition).ok_or(ViewError::NotHere(read.partition))?;
        page(view, read, &mut left)
    };
    reads.reads.iter().map(page).collect::<Result<_, _>>().map(|pages| Pages { pages })
}

/// The keys of actors.
fn actors(view: &StoreView<'_>, read: &Read, left: &mut usize) -> Result<Page, ViewError> {
    let [tag, ..] = *read.actor.as_slice() else { return Err(ViewError::Malformed) };
    let behind = ActorKey::of(&read.actor);
    let max = usize::try_from(read.actors).unwrap_or(usize::MAX).min(ACTORS_MAX);
    let found = view.actors(tag, behind.as_ref(), max)?;
    let rows: Vec<Row> = found.iter().map(|actor| Row { sub: actor.0.to_vec(), value: Vec::new() }).collect();
    *left = left.saturating_sub(rows.iter().map(|row| row.sub.len() + ROW_BYTES).sum());
    Ok(Page { rows, more: false })
}

fn page(view: &StoreView<'_>, read: &Read, left: &mut usize) -> Result<Page, ViewError> {
    if *left == 0 {
        return Ok(Page { rows: Vec::new(), more: true });
    }
    if read.actors > 0 {
        return actors(view, read, left);
    }
    let actor = ActorKey(read.actor.as_slice().try_into().map_err(|_| ViewError::Malformed)?);
    let mut page = Page::default();
    let mut take = |sub: &[u8], value: &[u8]| {
        *left = left.saturating_sub(sub.len() + value.len() + ROW_BYTES);
        page.rows.push(Row { sub: sub.to_vec(), value: value.to_vec() });
        page.more = *left == 0 && !read.one;
        !page.more
    };
    if read.one {
        if let Some(value) = view.get(&actor, &read.from)? {
            take(&read.from, &value);
        }
    } else {
        view.scan(&actor, &read.from, &read.to, &mut take)?;
    }
    Ok(page)
}
