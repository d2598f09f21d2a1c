//! The pictures, drawn by hand as SVG: no font and no colour has to be fetched.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    report::{bytes, seconds},
    result::{measured, median, numbers, ratio},
};

const WIDTH: f64 = 960.0;
/// Where bars begin, and how wide a ratio of 1 is.
const LEFT: f64 = 430.0;
const ONE: f64 = 270.0;
/// Bars do not go beyond this ratio.
const MOST: f64 = 1.35;
const LINE: f64 = 34.0;
const TOP: f64 = 78.0;

const GOOD: &str = "#2e7d4f";
const BAD: &str = "#b3541e";
const GREY: &str = "#8a8f98";
const INK: &str = "#1f2328";
const BOUND: &str = "#1f2328";

/// A picture under construction.
struct Picture {
    text: String,
    height: f64,
}

impl Picture {
    fn new(height: f64, title: &str) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"13\" role=\"img\">\n\
             <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        Self { text, height }
    }

    fn write(&mut self, x: f64, y: f64, style: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{words}</text>");
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        let width = width.max(1.0);
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"{fill}\"/>"
        );
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.text,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>"
        );
    }

    fn finish(self) -> String {
        self.text + "</svg>\n"
    }
}

/// Bars of touchmark's time as a part of BuildKit's, with the bound of each row marked.
pub(crate) fn ratios(results: &Value) -> String {
    let rows = results["rows"].as_array().cloned().unwrap_or_default();
    let height = TOP + LINE * rows.len() as f64 + 34.0;
    let mut picture = Picture::new(height, "Time of touchmark as a part of BuildKit's");
    let heading = format!("font-size=\"17\" font-weight=\"600\" fill=\"{INK}\"");
    picture.write(
        16.0,
        28.0,
        &heading,
        "touchmark / BuildKit: how long a build takes, beside BuildKit's time",
    );
    let small = format!("font-size=\"12\" fill=\"{GREY}\"");
    picture.write(
        16.0,
        48.0,
        &small,
        "shorter is better; the thick mark is the bound of the row; beside the bars: ratio, and both medians",
    );
    let bottom = picture.height - 30.0;
    for step in 0..=5 {
        let (x, ratio) = (LEFT + ONE * f64::from(step) * 0.25, f64::from(step) * 0.25);
        let style = if step == 4 {
            format!("stroke=\"{GREY}\" stroke-dasharray=\"4 3\"")
        } else {
            "stroke=\"#e3e6ea\"".into()
        };
        picture.line((x, TOP - 8.0), (x, bottom), &style);
        let label = if step == 4 { "BuildKit".into() } else { format!("{ratio}") };
        picture.write(x, bottom + 16.0, &format!("{small} text-anchor=\"middle\""), &label);
    }
    for (number, row) in rows.iter().enumerate() {
        one_ratio(&mut picture, row, TOP + LINE * number as f64);
    }
    picture.finish()
}

fn one_ratio(picture: &mut Picture, row: &Value, y: f64) {
    let label = row["row"].as_str().unwrap_or_default();
    let title = row["title"].as_str().unwrap_or_default();
    let ink = format!("fill=\"{INK}\" text-anchor=\"end\"");
    let bound = row["bound"].as_f64();
    let small = format!("font-size=\"11\" fill=\"{GREY}\" text-anchor=\"end\"");
    picture.write(LEFT - 12.0, y + 10.0, &format!("{ink} font-weight=\"600\""), label);
    picture.write(LEFT - 12.0, y + 24.0, &small, &shortened(title));
    let Some(ratio) = ratio(row, "wall") else {
        let style = format!("fill=\"{BAD}\" font-style=\"italic\"");
        let entry = row["builders"].as_array().into_iter().flatten().next();
        let outcome = entry.and_then(|entry| entry["outcome"].as_str()).unwrap_or("failed");
        let outcome = if outcome == "measured" { "nothing to compare with" } else { outcome };
        picture.write(LEFT + 8.0, y + 16.0, &style, outcome);
        mark(picture, bound, y);
        return;
    };
    let fill = match bound {
        Some(bound) if ratio > bound => BAD,
        Some(_) => GOOD,
        None => GREY,
    };
    let width = ratio.min(MOST) * ONE;
    picture.bar(LEFT, y + 2.0, width, 20.0, fill);
    let walls = |builder| {
        let walls = measured(row, builder).map(|entry| numbers(&entry["wall"]));
        walls.and_then(median).map_or("?".into(), seconds)
    };
    let words = format!("{ratio:.2} · {} / {}", walls("touchmark"), walls("BuildKit"));
    let after = LEFT + width.max(bound.unwrap_or_default() * ONE) + 9.0;
    picture.write(after, y + 16.5, &format!("font-size=\"12\" fill=\"{INK}\" paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"4\""), &words);
    mark(picture, bound, y);
}

/// The mark of a bound.
fn mark(picture: &mut Picture, bound: Option<f64>, y: f64) {
    if let Some(bound) = bound {
        let x = LEFT + bound * ONE;
        picture.line(
            (x, y - 2.0),
            (x, y + 26.0),
            &format!("stroke=\"{BOUND}\" stroke-width=\"3\""),
        );
    }
}

fn shortened(title: &str) -> String {
    match title.char_indices().nth(68) {
        Some((end, _)) => format!("{}…", &title[..end]),
        None => title.to_owned(),
    }
}

const PANEL: f64 = 190.0;

/// Time and memory over size, both on logarithmic scales; a panel for each thing that grows.
pub(crate) fn growth(results: &Value) -> String {
    let series = results["growth"].as_array().cloned().unwrap_or_default();
    let height = 70.0 + (PANEL + 46.0) * series.len().div_ceil(2) as f64;
    let mut picture = Picture::new(height, "How touchmark's time and memory grow");
    let heading = format!("font-size=\"17\" font-weight=\"600\" fill=\"{INK}\"");
    picture.write(16.0, 28.0, &heading, "touchmark alone: time and peak memory as the work grows");
    let small = format!("font-size=\"12\" fill=\"{GREY}\"");
    picture.write(
        16.0,
        48.0,
        &small,
        "both axes logarithmic; the dashed line is linear growth from the first point",
    );
    for (number, one) in series.iter().enumerate() {
        let x = 70.0 + 470.0 * (number % 2) as f64;
        let y = 84.0 + (PANEL + 46.0) * (number / 2) as f64;
        panel(&mut picture, one, (x, y));
    }
    picture.finish()
}

fn panel(picture: &mut Picture, series: &Value, (x, y): (f64, f64)) {
    let (width, height) = (360.0, PANEL - 40.0);
    let points = series["points"].as_array().into_iter().flatten();
    let points: Vec<(f64, f64, f64)> = points
        .filter_map(|point| {
            Some((point["size"].as_f64()?, point["wall"].as_f64()?, point["peak"].as_f64()?))
        })
        .collect();
    let bold = format!("font-weight=\"600\" fill=\"{INK}\"");
    picture.write(x, y, &bold, series["title"].as_str().unwrap_or_default());
    let base = y + 12.0 + height;
    picture.line((x, base), (x + width, base), &format!("stroke=\"{GREY}\""));
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    if points.len() < 2 {
        return;
    }
    let across =
        |size: f64| x + 20.0 + (width - 60.0) * (size / first.0).ln() / (last.0 / first.0).ln();
    // Linear growth fills the panel from a third of its height on.
    let up = |factor: f64| base - 34.0 - (height - 60.0) * factor.ln() / (last.0 / first.0).ln();
    let ends = ((across(first.0), up(1.0)), (across(last.0), up(last.0 / first.0)));
    picture.line(ends.0, ends.1, &format!("stroke=\"{GREY}\" stroke-dasharray=\"4 3\""));
    for (value, colour, below, beside, name) in
        [(1, GOOD, -9.0, -2.0, "time"), (2, BAD, 17.0, 10.0, "memory")]
    {
        let of = |point: &(f64, f64, f64)| if value == 1 { point.1 } else { point.2 };
        let place = |point: &(f64, f64, f64)| (across(point.0), up(of(point) / of(first)));
        for pair in points.windows(2) {
            let style = format!("stroke=\"{colour}\" stroke-width=\"2\"");
            picture.line(place(&pair[0]), place(&pair[1]), &style);
        }
        for point in &points {
            let (cx, cy) = place(point);
            let _ = writeln!(
                picture.text,
                "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            );
            let words = if value == 1 { seconds(of(point)) } else { bytes(of(point)) };
            let style = format!(
                "font-size=\"11\" fill=\"{colour}\" text-anchor=\"middle\" paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3\""
            );
            picture.write(cx, cy + below, &style, &words);
        }
        let (cx, cy) = place(last);
        picture.write(cx + 30.0, cy + beside, &format!("font-size=\"11\" fill=\"{colour}\""), name);
    }
    for point in &points {
        let style = format!("font-size=\"11\" fill=\"{GREY}\" text-anchor=\"middle\"");
        let size = if point.0 >= 1e8 { bytes(point.0) } else { format!("{:.0}", point.0) };
        picture.write(across(point.0), base + 15.0, &style, &size);
    }
}
