//! What is said after a build: where the bytes are, what was left out, what is worth knowing.

use std::collections::BTreeMap;

use crate::model::receipt::{PlatformReceipt, Receipt};

/// How many origins are told by name.
const ORIGINS: usize = 8;

pub(super) fn summary(receipt: &Receipt) -> String {
    let mut lines = Vec::new();
    for platform in &receipt.platforms {
        lines.extend(platform_lines(&receipt.name, platform));
    }
    lines.join("\n")
}

fn platform_lines(name: &str, receipt: &PlatformReceipt) -> Vec<String> {
    let mut lines = vec![format!(
        "{name} for {}: {} of files, {} to pull",
        receipt.platform,
        megabytes(receipt.files_bytes),
        megabytes(receipt.compressed_bytes)
    )];
    let sorted = by_size(&receipt.bytes_by_origin);
    for (origin, bytes) in sorted.iter().take(ORIGINS) {
        lines.push(format!("  {:>9}  {origin}", megabytes(**bytes)));
    }
    let rest: u64 = sorted.iter().skip(ORIGINS).map(|(_, bytes)| **bytes).sum();
    if rest > 0 {
        lines.push(format!("  {:>9}  {} others", megabytes(rest), sorted.len() - ORIGINS));
    }
    let removed = by_size(&receipt.removed_bytes_by_reason);
    if !removed.is_empty() {
        lines.push("left out:".to_owned());
        lines.extend(removed.iter().map(|(reason, bytes)| format!("  {:>9}  {reason}", megabytes(**bytes))));
    }
    if !receipt.entrypoint.is_empty() {
        lines.push(format!("runs: {}", receipt.entrypoint.join(" ")));
    }
    lines.extend(receipt.checks.not_run.iter().map(|check| format!("not proved: {check}")));
    if !receipt.checks.passed.is_empty() {
        lines.push(format!("proved: {}", receipt.checks.passed.join(", ")));
    }
    lines.extend(receipt.checks.notes.iter().chain(&receipt.hints).map(|hint| format!("hint: {hint}")));
    lines
}

fn by_size(bytes: &BTreeMap<String, u64>) -> Vec<(&String, &u64)> {
    let mut sorted: Vec<(&String, &u64)> = bytes.iter().collect();
    sorted.sort_by_key(|(name, bytes)| (std::cmp::Reverse(**bytes), (*name).clone()));
    sorted
}

/// Millions of bytes, with one digit after the point.
fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_millions() {
        assert_eq!(megabytes(0), "0.0 MB");
        assert_eq!(megabytes(1_949_999), "1.9 MB");
        assert_eq!(megabytes(1_950_000), "2.0 MB");
    }
}
