internal import TenonCore

/// Faults as a line of words, for people and for replay files.
extension FaultSchedule.Event: CustomStringConvertible {
    package var description: String { "\(beginsAt) \(lasts) \(fault)" }

    /// The event of "begin lasts fault…"; nil when these words are none.
    package init?(words: ArraySlice<String>) {
        var words = FaultWords(words)
        guard let beginsAt = words.number(), let lasts = words.number(),
            let fault = Fault(words: &words), words.isAtEnd
        else { return nil }
        self.init(beginsAt: beginsAt, lasts: lasts, fault)
    }
}

extension FaultTarget: CustomStringConvertible {
    package var description: String {
        switch self {
        case .nodes(let nodes): nodes.map { "n\($0)" }.joined(separator: ",")
        case .leader: "leader"
        }
    }

    fileprivate init?(_ word: String) {
        if word == "leader" {
            self = .leader
            return
        }
        let parts = word.split(separator: ",").map { $0.hasPrefix("n") ? Int($0.dropFirst()) : nil }
        let nodes = parts.compactMap(\.self)
        guard !nodes.isEmpty, nodes.count == parts.count else { return nil }
        self = .nodes(nodes)
    }
}

extension Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .crash(let target): "crash \(target)"
        case .stop(let target): "stop \(target)"
        case .powerCut(let target, let survival): "power-cut \(target) \(survival)"
        case .dieAt(let target, let operations, let survival):
            "die-at \(target) \(operations) " + (survival.map { "\($0)" } ?? "killed")
        case .pause(let target): "pause \(target)"
        case .handOver(let target, let node, let late): "hand-over \(target) \(node) \(late)"
        case .wipe(let target): "wipe \(target)"
        case .rollBack(let target): "roll-back \(target)"
        case .cut(let ways, let isBreaking):
            "cut " + ways.map { "\($0.from)>\($0.to)" }.joined(separator: ",")
                + (isBreaking ? " breaking" : " holding")
        case .isolate(let target): "isolate \(target)"
        case .reject(let target, let others): "reject \(target) \(others)"
        case .flap(let one, let other, let every): "flap \(one) \(other) \(every)"
        case .disturb(let disturbance): "disturb \(disturbance.words)"
        case .reset(let from, let to): "reset \(from) \(to)"
        case .resetClients(let node): "reset-clients \(node)"
        case .disk(let target, let fault): "disk \(target) \(fault.words)"
        case .diskFull(let target, let slack): "disk-full \(target) \(slack)"
        case .diskStall(let target): "disk-stall \(target)"
        case .rot(let node, let place, let seed): "rot \(node) \(place.rawValue) \(seed)"
        case .change(let seed): "change \(seed)"
        case .move(let seed): "move \(seed)"
        case .ambush: "ambush"
        case .split(let seed): "split \(seed)"
        case .policy(let seed): "policy \(seed)"
        case .keyspace(let seed): "keyspace \(seed)"
        case .clockJump(let node, let step): "clock-jump \(node) \(step)"
        case .clockDrift(let node, let pace): "clock-drift \(node) \(pace)"
        case .clockShift(let target, let step, let isAccepted):
            "clock-shift \(target) \(step) " + (isAccepted ? "accepted" : "refused")
        }
    }

    fileprivate init?(words: inout FaultWords) {
        guard let fault = Fault.process(&words) ?? Fault.network(&words) ?? Fault.machine(&words)
        else { return nil }
        self = fault
    }

    private static func process(_ words: inout FaultWords) -> Fault? {
        switch words.first {
        case "crash": words.targeted { .crash($0) }
        case "stop": words.targeted { .stop($0) }
        case "power-cut":
            words.targeted { target, words in
                Survival(word: words.word()).map { .powerCut(target, $0) }
            }
        case "die-at":
            words.targeted { target, words in
                guard let operations = words.number(), let end = words.word() else { return nil }
                let survival = Survival(word: end)
                guard survival != nil || end == "killed" else { return nil }
                return .dieAt(target, operations: operations, survival)
            }
        case "pause": words.targeted { .pause($0) }
        case "hand-over":
            words.targeted { target, words in
                guard let node = words.number(), let late = words.number() else { return nil }
                return .handOver(target, to: node, lateMilliseconds: late)
            }
        case "wipe": words.targeted { .wipe($0) }
        case "roll-back": words.targeted { .rollBack($0) }
        default: nil
        }
    }

    private static func network(_ words: inout FaultWords) -> Fault? {
        switch words.first {
        case "cut":
            words.after { words in
                guard let ways = words.ways(), let end = words.word() else { return nil }
                return .cut(ways, isBreaking: end == "breaking")
            }
        case "isolate": words.targeted { .isolate($0) }
        case "reject":
            words.targeted { target, words in
                words.number().map { .reject(target, others: $0) }
            }
        case "flap":
            words.numbers(3) { .flap($0[0], $0[1], everyMilliseconds: $0[2]) }
        case "disturb": words.numbers(6) { .disturb(Disturbance(numbers: $0)) }
        case "reset": words.numbers(2) { .reset(from: $0[0], to: $0[1]) }
        case "reset-clients": words.numbers(1) { .resetClients($0[0]) }
        default: nil
        }
    }

    private static func machine(_ words: inout FaultWords) -> Fault? {
        switch words.first {
        case "disk":
            words.targeted { target, words in
                DiskFault(words: &words).map { .disk(target, $0) }
            }
        case "disk-full":
            words.targeted { target, words in
                words.number().map { .diskFull(target, slackBytes: $0) }
            }
        case "disk-stall": words.targeted { .diskStall($0) }
        case "rot":
            words.after { words in
                guard let node = words.number(),
                    let place = words.word().flatMap(RotPlace.init(rawValue:)),
                    let seed = words.word().flatMap({ UInt64($0) })
                else { return nil }
                return .rot(node, place, seed: seed)
            }
        case "change":
            words.after { words in
                words.word().flatMap { UInt64($0) }.map { .change(seed: $0) }
            }
        case "move":
            words.after { words in
                words.word().flatMap { UInt64($0) }.map { .move(seed: $0) }
            }
        case "ambush": words.after { _ in .ambush }
        case "split":
            words.after { words in
                words.word().flatMap { UInt64($0) }.map { .split(seed: $0) }
            }
        case "policy":
            words.after { words in
                words.word().flatMap { UInt64($0) }.map { .policy(seed: $0) }
            }
        case "keyspace":
            words.after { words in
                words.word().flatMap { UInt64($0) }.map { .keyspace(seed: $0) }
            }
        case "clock-jump": words.numbers(2) { .clockJump($0[0], milliseconds: $0[1]) }
        case "clock-drift": words.numbers(2) { .clockDrift($0[0], perMillion: $0[1]) }
        case "clock-shift":
            words.targeted { target, words in
                guard let step = words.number(), let end = words.word() else { return nil }
                return .clockShift(target, milliseconds: step, isAccepted: end == "accepted")
            }
        default: nil
        }
    }
}

extension Survival {
    fileprivate init?(word: String?) {
        switch word {
        case "nothing": self = .nothing
        case "everything": self = .everything
        case "random": self = .random
        default: return nil
        }
    }
}

extension Disturbance {
    /// lost, repeated, overtaken, delay in ms, bytes a second, node (0 for all).
    fileprivate var words: String {
        [
            lostPerMille, repeatedPerMille, overtakenPerMille, delayMax.wholeMilliseconds,
            bytesPerSecond, Int(node?.rawValue ?? 0),
        ].map(String.init).joined(separator: " ")
    }

    fileprivate init(numbers: [Int]) {
        lostPerMille = numbers[0]
        repeatedPerMille = numbers[1]
        overtakenPerMille = numbers[2]
        delayMax = .milliseconds(numbers[3])
        bytesPerSecond = numbers[4]
        node = numbers[5] == 0 ? nil : NodeID(UInt32(numbers[5]))
    }
}

extension DiskFault {
    /// kind, part of the path, skip, count.
    fileprivate var words: String {
        let kindWord =
            switch kind {
            case .failSync: "fail-sync"
            case .failWrite: "fail-write"
            case .shortWrite: "short-write"
            case .failRead: "fail-read"
            case .flipRead: "flip-read"
            case .misdirect(let distance): "misdirect:\(distance)"
            }
        return "\(kindWord) \(pathPart) \(skip) \(count)"
    }

    fileprivate init?(words: inout FaultWords) {
        guard let kind = words.word().flatMap(DiskFault.kind(of:)), let path = words.word(),
            let skip = words.number(), let count = words.number()
        else { return nil }
        self.init(kind, on: path, skip: skip, count: count)
    }

    private static func kind(of word: String) -> Kind? {
        switch word {
        case "fail-sync": return .failSync
        case "fail-write": return .failWrite
        case "short-write": return .shortWrite
        case "fail-read": return .failRead
        case "flip-read": return .flipRead
        default:
            let parts = word.split(separator: ":")
            guard parts.count == 2, parts[0] == "misdirect" else { return nil }
            return Int(parts[1]).map { .misdirect(byBytes: $0) }
        }
    }
}

/// Takes words from the front of a line.
private struct FaultWords {
    private var words: ArraySlice<String>

    init(_ words: ArraySlice<String>) { self.words = words }

    var first: String? { words.first }
    var isAtEnd: Bool { words.isEmpty }

    mutating func word() -> String? { words.popFirst() }
    mutating func number() -> Int? { word().flatMap { Int($0) } }

    /// What `body` makes of the words after the first one.
    mutating func after(_ body: (inout FaultWords) -> Fault?) -> Fault? {
        _ = words.popFirst()
        return body(&self)
    }

    mutating func targeted(_ body: (FaultTarget, inout FaultWords) -> Fault?) -> Fault? {
        after { words in
            words.word().flatMap { FaultTarget($0) }.flatMap { body($0, &words) }
        }
    }

    mutating func targeted(_ body: (FaultTarget) -> Fault) -> Fault? {
        targeted { target, _ in body(target) }
    }

    mutating func numbers(_ count: Int, _ body: ([Int]) -> Fault) -> Fault? {
        after { words in
            var numbers: [Int] = []
            for _ in 0..<count {
                guard let number = words.number() else { return nil }
                numbers.append(number)
            }
            return body(numbers)
        }
    }

    mutating func ways() -> [FaultWay]? {
        guard let word = word() else { return nil }
        var ways: [FaultWay] = []
        for part in word.split(separator: ",") {
            let ends = part.split(separator: ">").map { Int($0) }
            guard ends.count == 2, let from = ends[0], let to = ends[1] else { return nil }
            ways.append(FaultWay(from, to))
        }
        return ways.isEmpty ? nil : ways
    }
}
