import TenonChecker
import TenonCore
import Testing

/// Both checkers against executions that are right by construction, and against the definition.
@Suite("Random histories")
struct RandomHistoryTests {
    @Test("Correct executions are accepted by both checkers", arguments: 0..<60)
    func correct(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let history = RandomExecution.history(operations: 120, using: &generator)
        let replay = VersionReplay().verdict(of: history)
        #expect(replay == .holds, "\(replay.text)")
        let search = RegisterCheck().verdict(of: history)
        #expect(search == .holds, "\(search.text)")
    }

    @Test("What was written to a file is judged the same", arguments: 0..<5)
    func file(seed: UInt64) throws {
        var generator = SeededGenerator(seed: 900 + seed)
        let history = RandomExecution.history(operations: 60, using: &generator)
        #expect(try HistoryFile.decode(HistoryFile.encode(history)) == history)
    }

    @Test("The replay's verdict equals that of trying every placement")
    func agreesWithEveryPlacement() {
        var broken = 0
        for seed in UInt64(0)..<400 {
            var generator = SeededGenerator(seed: 5_000 + seed)
            var history = RandomExecution.history(
                operations: 8, unknownMax: 2, using: &generator)
            if seed % 4 != 0 { Mutation.apply(to: &history, using: &generator) }
            let isExplained = EveryPlacement.explains(history)
            if !isExplained { broken += 1 }
            let verdict = VersionReplay().verdict(of: history)
            #expect((verdict == .holds) == isExplained, "seed \(seed): \(verdict.text)")
            // What trusts no version can only see less.
            if isExplained {
                let search = RegisterCheck().verdict(of: history)
                #expect(search == .holds, "seed \(seed): \(search.text)")
            }
        }
        // The comparison means something only when both answers are common.
        #expect((100..<320).contains(broken), "\(broken) of 400 are broken")
    }

    @Test("Of answers changed in long histories nearly all are found")
    func mutations() {
        var missed = 0
        for seed in UInt64(0)..<60 {
            var generator = SeededGenerator(seed: 700 + seed)
            var history = RandomExecution.history(
                operations: 80, unknownMax: 3, using: &generator)
            let original = history
            Mutation.apply(to: &history, kinds: 1..<5, using: &generator)
            guard history != original else { continue }
            if VersionReplay().verdict(of: history) == .holds { missed += 1 }
        }
        // A changed answer may be right as well: nobody looked, or a lost write explains it.
        #expect(missed <= 12, "\(missed) of 60 were missed")
    }
}

/// Changes one answer to another that looks plausible.
enum Mutation {
    static func apply(
        to history: inout [HistoryOperation], kinds: Range<UInt64> = 0..<5,
        using generator: inout SeededGenerator
    ) {
        let stored = history.compactMap { operation -> StoredValue? in
            guard operation.isApplied, let version = operation.version,
                case .put(_, let value) = operation.action
            else { return nil }
            return StoredValue(bytes: value, version: version)
        }
        let answered = history.indices.filter { history[$0].at != nil }
        for _ in 0..<20 {
            guard let place = answered.randomElement(using: &generator) else { return }
            let before = history[place]
            let kind = kinds.lowerBound + generator.below(UInt64(kinds.count))
            change(
                &history[place], kind, stored.randomElement(using: &generator), using: &generator)
            if history[place] != before { return }
        }
    }

    private static func change(
        _ operation: inout HistoryOperation, _ kind: UInt64, _ other: StoredValue?,
        using generator: inout SeededGenerator
    ) {
        switch kind {
        case 0:
            guard let at = operation.at else { return }
            let step: UInt64 = generator.below(2) == 0 ? 3 : 6
            operation.at?.version = Timestamp(
                generator.below(2) == 0 ? at.version.rawValue - step : at.version.rawValue + step)
        case 1: operation.found?.toggle()
        case 2:
            guard !operation.items.isEmpty else { return }
            operation.items.remove(at: Int(generator.below(UInt64(operation.items.count))))
        case 3:
            guard let first = operation.results.indices.first else { return }
            switch operation.results[first] {
            case .value: operation.results[first] = .value(other)
            case .deleted(let found): operation.results[first] = .deleted(found: !found)
            case .conditionFailed, .written: break
            }
        default:
            if operation.read != nil {
                operation.read = other.map { .value($0.bytes) } ?? .absent
                operation.version = other?.version
            } else if !operation.values.isEmpty {
                operation.values[0] = other
            }
        }
    }
}

extension Verdict {
    fileprivate var text: String {
        switch self {
        case .holds: "holds"
        case .violated(let violation): violation.text
        case .undecided(let reason): "undecided: \(reason)"
        }
    }
}
