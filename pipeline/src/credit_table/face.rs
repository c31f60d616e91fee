//! Faces of credit rows, with each text and each combination of texts stored once: millions of rows share few values.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tributary_proto::CreditUpdate;

/// Number of a text.
pub type TextId = u32;

/// Texts by number, each stored once.
#[derive(Default)]
pub struct Texts {
    ids: HashMap<Arc<str>, TextId>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    pub fn id(&mut self, text: &str) -> TextId {
        if let Some(known) = self.ids.get(text) {
            return *known;
        }
        let id = TextId::try_from(self.texts.len()).unwrap_or(TextId::MAX);
        let shared: Arc<str> = text.into();
        self.texts.push(shared.clone());
        self.ids.insert(shared, id);
        id
    }

    pub fn text(&self, id: TextId) -> &str {
        self.texts.get(id as usize).map_or("", |text| text)
    }
}

/// Number of a map of dimensions.
pub type MapId = u32;

/// Maps of dimensions by number; number 0 is the empty one.
pub struct Maps {
    ids: HashMap<Arc<BTreeMap<String, String>>, MapId>,
    maps: Vec<Arc<BTreeMap<String, String>>>,
}

impl Default for Maps {
    fn default() -> Self {
        Self { ids: HashMap::new(), maps: vec![Arc::default()] }
    }
}

impl Maps {
    pub fn id(&mut self, map: &BTreeMap<String, String>) -> MapId {
        if map.is_empty() {
            return 0;
        }
        if let Some(known) = self.ids.get(map) {
            return *known;
        }
        let id = MapId::try_from(self.maps.len()).unwrap_or(MapId::MAX);
        let shared = Arc::new(map.clone());
        self.maps.push(Arc::clone(&shared));
        self.ids.insert(shared, id);
        id
    }

    pub fn map(&self, id: MapId) -> Option<&BTreeMap<String, String>> {
        self.maps.get(id as usize).map(AsRef::as_ref)
    }
}

/// The columns of a row other than its key and its share. The rows of all models of a touch have the same face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Face {
    pub milestone_kind: TextId,
    pub milestone_time_ms: i64,
    pub currency: TextId,
    pub reporting_currency: TextId,
    pub account_id: TextId,
    pub profile_id: TextId,
    pub touch_time_ms: i64,
    pub channel: TextId,
    pub source: TextId,
    pub medium: TextId,
    pub campaign: TextId,
    pub content: TextId,
    pub term: TextId,
    pub dimensions: MapId,
    pub milestone_dimensions: MapId,
}

impl Face {
    pub fn of(update: &CreditUpdate, texts: &mut Texts, maps: &mut Maps) -> Self {
        Self {
            milestone_kind: texts.id(&update.milestone_kind),
            milestone_time_ms: update.milestone_time,
            currency: texts.id(&update.currency),
            reporting_currency: texts.id(&update.reporting_currency),
            account_id: texts.id(&update.account_id),
            profile_id: texts.id(&update.profile_id),
            touch_time_ms: update.touch_time,
            channel: texts.id(&update.channel),
            source: texts.id(&update.source),
            medium: texts.id(&update.medium),
            campaign: texts.id(&update.campaign),
            content: texts.id(&update.content),
            term: texts.id(&update.term),
            dimensions: maps.id(&update.dimensions),
            milestone_dimensions: maps.id(&update.milestone_dimensions),
        }
    }
}

/// Number of a face.
pub type FaceId = u32;

/// Faces by number, each stored once.
#[derive(Default)]
pub struct Faces {
    ids: HashMap<Face, FaceId>,
    faces: Vec<Face>,
}

impl Faces {
    pub fn id(&mut self, face: Face) -> FaceId {
        *self.ids.entry(face).or_insert_with(|| {
            self.faces.push(face);
            FaceId::try_from(self.faces.len() - 1).unwrap_or(FaceId::MAX)
        })
    }

    pub fn face(&self, id: FaceId) -> Option<&Face> {
        self.faces.get(id as usize)
    }
}
