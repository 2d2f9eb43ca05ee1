import Foundation
import TenonChecker
import TenonCore

/// A round as a picture: successful operations by city, the fault, and who led when.
///
/// Pure: the same history gives the same SVG.
struct TimeLine: Sendable {
    let title: String
    /// Successes of each city's keys in each step, by name of the city.
    let throughput: [(city: String, counts: [Int])]
    /// Every change of leader: after how long, of which city's tablet, to whom.
    let changes: [(after: TimeSpan, city: String, node: String)]
    let span: TimeSpan
    /// From the start: when the fault began, and when the lost nodes were started again.
    let fault: (from: TimeSpan, to: TimeSpan)

    /// What one point of a curve counts.
    static let step = TimeSpan.milliseconds(100)

    init(
        title: String, operations: [HistoryOperation], homes: [TabletID: String],
        claims: [TabletID: [LeaderWatch.Claim]], names: [NodeID: String], span: Range<Instant>,
        fault: Range<Instant>
    ) {
        self.title = title
        self.span = span.upperBound.since(span.lowerBound)
        self.fault = (
            fault.lowerBound.since(span.lowerBound), fault.upperBound.since(span.lowerBound)
        )
        let steps = Int(self.span.nanoseconds / TimeLine.step.nanoseconds) + 1
        var counts: [String: [Int]] = [:]
        for city in Set(homes.values) { counts[city] = Array(repeating: 0, count: steps) }
        for operation in operations where operation.result == .ok {
            guard let at = operation.answeredAt, span.contains(at),
                let city = operation.at.flatMap({ homes[$0.tablet] })
            else { continue }
            let place = Int(at.since(span.lowerBound).nanoseconds / TimeLine.step.nanoseconds)
            counts[city]?[place] += 1
        }
        throughput = counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        changes = claims.flatMap { tablet, claims -> [(TimeSpan, String, String)] in
            guard let city = homes[tablet] else { return [] }
            return claims.filter { span.contains($0.at) }.map {
                ($0.at.since(span.lowerBound), city, names[$0.node] ?? "node \($0.node)")
            }
        }.sorted { ($0.0, $0.1, $0.2) < ($1.0, $1.1, $1.2) }
            .map { (after: $0.0, city: $0.1, node: $0.2) }
    }

    /// Where the picture of a report lies.
    static func path(beside report: String) -> String {
        (report.hasSuffix(".json") ? String(report.dropLast(5)) : report) + ".svg"
    }
}

extension TimeLine {
    private static let width = 960.0
    private static let plotHeight = 240.0
    private static let left = 70.0
    private static let top = 40.0
    private static let rowHeight = 22.0
    private static let colours = ["#0b6e99", "#c4512d", "#3d7f3a", "#7a4fa3", "#8a6d1d"]

    var svg: String {
        let height =
            TimeLine.top + TimeLine.plotHeight + TimeLine.rowHeight * Double(throughput.count + 2)
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(text(TimeLine.width))\" "
                + "height=\"\(text(height))\" font-family=\"sans-serif\" font-size=\"12\">",
            label(title, TimeLine.left, 20, size: 15), faultBand,
        ]
        lines += axes
        for (place, city) in throughput.enumerated() {
            lines.append(curve(city.counts, colour(place)))
            lines.append(contentsOf: leaders(of: city.city, row: place))
        }
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    private var faultBand: String {
        let (from, to) = (horizontal(fault.from), horizontal(fault.to))
        return "<rect x=\"\(text(from))\" y=\"\(text(TimeLine.top))\" width=\"\(text(to - from))\" "
            + "height=\"\(text(TimeLine.plotHeight))\" fill=\"#f3d9d3\"/>"
    }

    private var axes: [String] {
        let bottom = TimeLine.top + TimeLine.plotHeight
        let peak = throughput.flatMap(\.counts).max() ?? 0
        let perSecond = peak * Int(1_000_000_000 / TimeLine.step.nanoseconds)
        var lines = [
            line(TimeLine.left, bottom, TimeLine.width - 20, bottom, "#333"),
            line(TimeLine.left, TimeLine.top, TimeLine.left, bottom, "#333"),
            label("\(perSecond)/s", 8, TimeLine.top + 10), label("0", 50, bottom),
        ]
        let seconds = Int(span.nanoseconds / 1_000_000_000)
        for second in stride(from: 0, through: seconds, by: max(1, seconds / 10)) {
            lines.append(
                label("\(second) s", horizontal(.seconds(second)) - 8, bottom + 16))
        }
        return lines
    }

    private func curve(_ counts: [Int], _ colour: String) -> String {
        let peak = Double(max(1, throughput.flatMap(\.counts).max() ?? 1))
        let points = counts.enumerated().map { place, count in
            let at = TimeSpan(nanoseconds: UInt64(place) * TimeLine.step.nanoseconds)
            let height = TimeLine.plotHeight * Double(count) / peak
            return "\(text(horizontal(at))),"
                + text(TimeLine.top + TimeLine.plotHeight - height)
        }
        return "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.5\" points=\""
            + points.joined(separator: " ") + "\"/>"
    }

    /// A row below the plot: the city's name, and each new leader where it began.
    private func leaders(of city: String, row: Int) -> [String] {
        let height = TimeLine.top + TimeLine.plotHeight + TimeLine.rowHeight * Double(row + 2)
        return [label(city, 4, height, colour: colour(row))]
            + changes.filter { $0.city == city }.map {
                label("|" + $0.node, horizontal($0.after), height, colour: colour(row))
            }
    }

    private func colour(_ place: Int) -> String {
        TimeLine.colours[place % TimeLine.colours.count]
    }

    private func horizontal(_ after: TimeSpan) -> Double {
        let share = Double(after.nanoseconds) / Double(max(1, span.nanoseconds))
        return TimeLine.left + (TimeLine.width - 20 - TimeLine.left) * share
    }

    private func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String
    ) -> String {
        "<line x1=\"\(text(x1))\" y1=\"\(text(y1))\" x2=\"\(text(x2))\" y2=\"\(text(y2))\" "
            + "stroke=\"\(colour)\"/>"
    }

    private func label(
        _ words: String, _ x: Double, _ y: Double, size: Int = 12, colour: String = "#333"
    ) -> String {
        let safe = words.replacingOccurrences(of: "&", with: "&amp;")
            .replacingOccurrences(of: "<", with: "&lt;")
        return "<text x=\"\(text(x))\" y=\"\(text(y))\" font-size=\"\(size)\" fill=\"\(colour)\">"
            + safe + "</text>"
    }

    private func text(_ number: Double) -> String { String(format: "%.1f", number) }
}
