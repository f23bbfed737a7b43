//! The documents for programs: the receipt of `--metadata-file`, an explanation, and a comparison.

use serde::Serialize;

use crate::model::receipt::Receipt;
use crate::rivals::model::comparison::Comparison;

/// Returns the receipt as bytes of JSON.
pub(crate) fn receipt(receipt: &Receipt) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec_pretty(receipt)
}

/// Returns the table of an explanation as JSON, or answers to a question about an explanation.
pub(crate) fn explained(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(value)
}

/// Returns the comparison as JSON.
pub(crate) fn comparison(comparison: &Comparison) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(comparison)
}
