import Foundation
import TenonChecker
import TenonCore
import TenonNode

extension Timestamp {
    /// Its time, to milliseconds, in UTC; `never` for zero.
    var text: String { self == .zero ? "never" : wallTime.text }

    /// Its time as the beginning of a window; zero is before everything.
    var windowStart: String { self == .zero ? "the beginning" : wallTime.text }
}

extension WallTime {
    /// To milliseconds, in UTC.
    var text: String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1_000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}

extension SurvivorReport {
    var json: JSON {
        [
            "kind": "survivor report", "node": .string(name), "number": .integer(node.rawValue),
            "cluster": .string("\(cluster)"), "epoch": .string("\(epoch)"),
            "folder": .string(folder), "tablets": .array(tablets.map(\.json)),
            "record": .string(Base64.encode(Bytes(encoded()))),
        ]
    }
}

extension SurvivorReport.Tablet {
    var json: JSON {
        [
            "tablet": .integer(tablet.rawValue), "replica": .integer(replica.rawValue),
            "keyspace": .integer(keyspace.rawValue), "verdict": .string(verdict.name),
            "reason": .string(verdict.reason), "term": .integer(term.rawValue),
            "commit": .integer(commit.rawValue), "lastIndex": .integer(lastIndex.rawValue),
            "lastTerm": .integer(lastTerm.rawValue),
            "committedAt": .string(committedVersion.text), "lastWriteAt": .string(lastVersion.text),
        ]
    }
}

extension RecoveryPlan {
    /// For a person.
    var text: String {
        let names = { (nodes: [Node]) in nodes.map(\.name).joined(separator: ", ") }
        var lines = [
            "cluster \(cluster), epoch \(epoch) to \(newEpoch)", "lost: \(names(lost))",
            "survivors: \(names(survivors))",
        ]
        if !missing.isEmpty {
            lines.append(
                "MISSING: \(names(missing)): neither lost nor reported; what they alone hold is "
                    + "lost, and they stay cut off until the plan is applied to them")
        }
        lines += ["", table, ""] + problems
        if !abandoned.isEmpty {
            let numbers = abandoned.map { "\($0)" }.joined(separator: ", ")
            lines.append("GIVEN UP, no copy is left of: tablet \(numbers)")
        }
        if let lossStart {
            lines.append(
                "Acknowledged writes from \(lossStart.windowStart) until \(lossEnd.text) may be "
                    + "lost, on each tablet from its own moment on; how many, nobody can know from "
                    + "the survivors.")
        }
        lines.append(
            "You state that \(names(lost)) are destroyed or fenced off for ever: what still runs "
                + "of them out of reach cannot be stopped by this command.")
        return lines.joined(separator: "\n")
    }

    private var table: String {
        let header = [
            "tablet", "goes on from", "last entry", "voters", "may be lost from", "until",
        ]
        let rows = tablets.map { tablet in
            [
                "\(tablet.tablet)", name(of: tablet.chosen.node),
                "\(tablet.lastIndex) of term \(tablet.lastTerm)",
                tablet.voters.map { name(of: $0) }.joined(separator: ","),
                tablet.lossStart.windowStart,
                lossEnd.text,
            ]
        }
        return TextTable(header: header, rows: rows).description
    }

    /// What is cut, and what cannot be used.
    private var problems: [String] {
        tablets.flatMap { tablet in
            tablet.copies.compactMap { copy -> String? in
                if !copy.problem.isEmpty { return "tablet \(tablet.tablet): \(copy.problem)" }
                guard let cut = copy.cut else { return nil }
                return "tablet \(tablet.tablet): entries \(cut.lowerBound) to \(cut.upperBound) of "
                    + "\(name(of: copy.member.node)) are cut: no majority is known to have had them"
            }
        }
    }

    private func name(of node: NodeID) -> String {
        survivors.first { $0.id == node }?.name ?? "node \(node)"
    }

    var json: JSON {
        let names = { (nodes: [Node]) in JSON.array(nodes.map { JSON.string($0.name) }) }
        return [
            "kind": "recovery plan", "cluster": .string("\(cluster)"),
            "epoch": .string("\(epoch)"), "newEpoch": .string("\(newEpoch)"),
            "lost": names(lost), "survivors": names(survivors), "missing": names(missing),
            "lossStart": .string((lossStart ?? .zero).windowStart),
            "lossEnd": .string(lossEnd.text),
            "tablets": .array(tablets.map { json(of: $0) }),
            "abandoned": .array(abandoned.map { JSON.integer($0.rawValue) }),
            "confirmation": .string(confirmation),
            "record": .string(Base64.encode(Bytes(encoded()))),
        ]
    }

    private func json(of tablet: Tablet) -> JSON {
        [
            "tablet": .integer(tablet.tablet.rawValue),
            "from": .string(name(of: tablet.chosen.node)),
            "lastIndex": .integer(tablet.lastIndex.rawValue),
            "lastTerm": .integer(tablet.lastTerm.rawValue),
            "voters": .array(tablet.voters.map { JSON.string(name(of: $0)) }),
            "lossStart": .string(tablet.lossStart.windowStart),
            "lossStartVersion": .string("\(tablet.lossStart)"),
            "lossEnd": .string(lossEnd.text),
            "lastWriteAt": .string(tablet.lastVersion.text),
            "copies": .array(tablet.copies.map { json(of: $0) }),
        ]
    }

    private func json(of copy: Copy) -> JSON {
        [
            "node": .string(name(of: copy.member.node)),
            "lastIndex": .integer(copy.lastIndex.rawValue),
            "lastTerm": .integer(copy.lastTerm.rawValue), "problem": .string(copy.problem),
            "cutFrom": copy.cut.map { JSON.integer($0.lowerBound.rawValue) } ?? .null,
            "cutThrough": copy.cut.map { JSON.integer($0.upperBound.rawValue) } ?? .null,
        ]
    }
}
