//! Removes the texts of Python's interactive help.

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::vocabulary::PYDOC_DATA;
use crate::outside::store::StoreError;

/// Removes the language reference, unless a file of the application names it. `help("if")` shows this reference.
/// Without it, pydoc reports that the topic is not available.
pub(super) fn help_topics(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let topics = ImagePath::parse(&format!("{}/pydoc_data/topics.py", scene.python().stdlib())).ok();
    let going = topics.filter(|_| !scene.is_mentioned(&[PYDOC_DATA]));
    Ok(going.map(|path| Proposal::Remove { path, reason: Removed::HelpTopics }).into_iter().collect())
}
