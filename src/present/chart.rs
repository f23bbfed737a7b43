//! A comparison as a picture: one bar per image, with its contents as parts. It is readable on light and on dark pages.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use thiserror::Error;

use crate::model::hint::Hints;
use crate::present::megabytes::megabytes;
use crate::rivals::model::comparison::{ComparedImage, Comparison, Content};

const WIDTH: u32 = 860;
const HEIGHT: u32 = 330;
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Liberation Sans', sans-serif";
/// The text colour for programs that ignore [`STYLE`].
const INK: RGBColor = RGBColor(89, 99, 110);

/// The left end of the bars, in pixels.
const LEFT: i32 = 86;
/// The right end of the longest bar, in pixels.
const RIGHT: i32 = 700;
/// The top of the first bar, in pixels.
const TOP: i32 = 64;
/// The distance from the top of one bar to the top of the next, in pixels.
const STRIDE: i32 = 50;
const THICKNESS: i32 = 30;

/// The parts of a bar, each with its label, its colour and its contents. The colours are those of Okabe and Ito, which
/// people with colour blindness can distinguish.
const GROUPS: [(&str, RGBColor, &[Content]); 7] = [
    ("program", RGBColor(0, 114, 178), &[Content::Program]),
    ("Python", RGBColor(86, 180, 233), &[Content::Python, Content::Bytecode]),
    ("system", RGBColor(0, 158, 115), &[Content::System, Content::Shell]),
    ("documentation", RGBColor(204, 121, 167), &[Content::Documentation, Content::Translations]),
    ("package manager", RGBColor(240, 228, 66), &[Content::PackageManager]),
    ("apt's lists and caches", RGBColor(230, 159, 0), &[Content::AptLists, Content::AptCaches]),
    ("pip and compilers", RGBColor(213, 94, 0), &[Content::Pip, Content::Compilers]),
];

/// The text colours for light and for dark pages. Some programs ignore this style.
const STYLE: &str = "<style>text{fill:#59636e}text[font-weight]{fill:#1f2328}\
    @media(prefers-color-scheme:dark){text{fill:#9198a1}text[font-weight]{fill:#f0f6fc}}</style>";

#[derive(Debug, Error)]
#[error("cannot draw the comparison")]
pub(crate) struct ChartError(#[source] Box<dyn Error + Send + Sync>);

impl Hints for ChartError {}

/// Draws `comparison`.
pub(crate) fn svg(comparison: &Comparison) -> Result<String, ChartError> {
    let mut text = String::new();
    draw(comparison, &mut text).map_err(|error| ChartError(error.to_string().into()))?;
    // The drawing begins with the tag `<svg>`. The style has to follow this tag directly.
    let (open, rest) = text.split_once(">\n").unwrap_or((&text, ""));
    Ok(format!("{open}>\n{STYLE}\n{rest}"))
}

fn draw(comparison: &Comparison, text: &mut String) -> Result<(), Box<dyn Error>> {
    let page = SVGBackend::with_string(text, (WIDTH, HEIGHT)).into_drawing_area();
    let largest = comparison.images.iter().map(|image| image.raw_bytes).max().unwrap_or(0).max(1);
    let title = format!("{} on {}", comparison.program, comparison.base);
    page.draw(&Text::new(title, (LEFT, 16), ink(17, FontStyle::Bold, HPos::Left, VPos::Top)))?;
    let how = if comparison.images.iter().all(|image| image.is_measured) { "measured" } else { "~ computed" };
    let scale = format!("{}, files of all layers; {how}", comparison.platform);
    page.draw(&Text::new(scale, (LEFT, 40), ink(12, FontStyle::Normal, HPos::Left, VPos::Top)))?;
    for (row, image) in comparison.images.iter().enumerate() {
        bar(&page, image, (TOP + STRIDE * i32::try_from(row)?, largest))?;
    }
    legend(&page, TOP + STRIDE * i32::try_from(comparison.images.len())? + 16)?;
    page.present()?;
    Ok(())
}

type Page<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws one image, with its name on the left and its sizes on the right.
fn bar(page: &Page<'_>, image: &ComparedImage, (top, largest): (i32, u64)) -> Result<(), Box<dyn Error>> {
    let middle = top + THICKNESS / 2;
    let name = ink(15, FontStyle::Bold, HPos::Right, VPos::Center);
    page.draw(&Text::new(image.way.to_string(), (LEFT - 12, middle), name))?;
    let at = |bytes: u64| i32::try_from(bytes * (RIGHT - LEFT) as u64 / largest).map(|x| LEFT + x);
    let mut begin = 0;
    for (_, colour, contents) in GROUPS {
        let bytes: u64 = contents.iter().filter_map(|content| image.contents.get(content)).sum();
        let (left, right) = (at(begin)?, at(begin + bytes)?);
        begin += bytes;
        if right > left {
            page.draw(&Rectangle::new([(left, top), (right, top + THICKNESS)], colour.filled()))?;
        }
    }
    let mark = if image.is_measured { "" } else { "~" };
    let sizes = ink(15, FontStyle::Bold, HPos::Left, VPos::Bottom);
    let end = at(begin)? + 10;
    page.draw(&Text::new(format!("{mark}{}", megabytes(image.raw_bytes)), (end, middle + 1), sizes))?;
    let pulled = format!("{mark}{} to pull", megabytes(image.compressed_bytes));
    page.draw(&Text::new(pulled, (end, middle + 2), ink(12, FontStyle::Normal, HPos::Left, VPos::Top)))?;
    Ok(())
}

fn legend(page: &Page<'_>, top: i32) -> Result<(), Box<dyn Error>> {
    const COLUMN: i32 = 186;
    for (place, (words, colour, _)) in (0..).zip(GROUPS) {
        let (left, top) = (LEFT + COLUMN * (place % 4), top + 24 * (place / 4));
        page.draw(&Rectangle::new([(left, top), (left + 12, top + 12)], colour.filled()))?;
        let style = ink(12, FontStyle::Normal, HPos::Left, VPos::Center);
        page.draw(&Text::new(words, (left + 18, top + 7), style))?;
    }
    Ok(())
}

fn ink(pixels: i32, style: FontStyle, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // The drawing library takes the size of a font as the height of a whole line.
    const LINE_OF_FONT: f64 = 1.24;
    let font = FontDesc::new(FontFamily::Name(FONT), f64::from(pixels) * LINE_OF_FONT, style);
    font.color(&INK).pos(Pos::new(horizontal, vertical))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::table::tests::comparison;

    #[test]
    fn every_content_has_a_colour() {
        for content in Content::ALL {
            let holders = GROUPS.iter().filter(|(_, _, contents)| contents.contains(&content)).count();
            assert_eq!(holders, 1, "{content}");
        }
    }

    #[test]
    fn bars_are_as_long_as_images_are_large() {
        let svg = svg(&comparison()).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for text in [
            "pre-commit 4.7.0 on debian:trixie",
            "~913.0 MB",
            "50.0 MB",
            "19.0 MB to pull",
            "prefers-color-scheme:dark",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        // The widest rectangle is the part of a bar that shows pip and compilers.
        let widths = svg
            .split("<rect ")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse::<u32>().ok());
        let expected = u32::try_from(812 * (RIGHT - LEFT) / 913).unwrap();
        assert!(widths.max().unwrap().abs_diff(expected) <= 1);
    }
}
