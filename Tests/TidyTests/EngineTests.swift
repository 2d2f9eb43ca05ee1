import Testing

/// Given the same inputs the engine does the same thing: what could break that is not in it.
@Suite("The deterministic engine")
struct EngineTests {
    private let files = SourceTree.sources.filter {
        HouseTable.engineModules.contains($0.module)
    }

    @Test("There is an engine to look at")
    func isThere() { #expect(files.count > 20) }

    @Test("The engine starts no task and sleeps nowhere")
    func tasks() { expectNone(/\bTask\s*[.{(<]|\bTaskGroup\b|\bDispatchQueue\b|\bThread\b/) }

    @Test("The engine prints nothing")
    func prints() { expectNone(/(?:^|[^.\w])(?:debugPrint|print|dump)\(/) }

    @Test("The engine reads no clock")
    func clocks() {
        expectNone(
            /\bContinuousClock\b|\bSuspendingClock\b|\bclock_gettime\b|\bgettimeofday\b|\bDate\(/)
    }

    @Test("The engine draws no random number without a generator that it was given")
    func randomness() {
        expectNone(/\bSystemRandomNumberGenerator\b|\.shuffled\(\)|\.randomElement\(\)/)
        expectNone(/\.random\(in: [^,)]*\)|\bgetrandom\b|\barc4random/)
    }

    @Test("The engine decides nothing with floating point")
    func floatingPoint() { expectNone(/\b(?:Double|Float|Float16|Float32|Float64)\b/) }

    @Test("The engine does not walk a dictionary or a set where the order could reach an effect")
    func unorderedWalks() {
        for file in files {
            for place in UnorderedWalk.places(in: file) { Issue.record("\(place)") }
        }
    }

    @Test("A walk over a dictionary is found, one that sorts or has a reason is not")
    func unorderedWalkRule() {
        let text = """
            var peers: [NodeID: Peer] = [:]
            private let seen = Set<Int>()
            var list: [Int] = []
            func walk() {
                for (id, peer) in peers { send(id) }
                for id in peers.keys.sorted() { send(id) }
                let all = seen.map { $0 }
                for item in list { use(item) }
                // Tidy: every one is dropped, in whatever order.
                for peer in peers.values { drop(peer) }
                let count = peers.values.count { $0.isAlive }
            }
            """
        let file = SourceFile(path: "x.swift", text: text)
        #expect(UnorderedWalk.lines(in: file) == [5, 7])
    }

    private func expectNone(
        _ pattern: Regex<Substring>, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for place in files.flatMap({ $0.places(of: pattern) }) {
            Issue.record("\(place)", sourceLocation: sourceLocation)
        }
    }
}

/// Finds loops over names that the same file declares as dictionaries or sets.
///
/// A heuristic: it knows names, not types. A walk whose order cannot matter says so in a comment
/// `// Tidy: …` above it.
enum UnorderedWalk {
    static func places(in file: SourceFile) -> [String] {
        lines(in: file).map { "\(file.path):\($0): \(file.lines[$0 - 1])" }
    }

    static func lines(in file: SourceFile) -> [Int] {
        let names = declaredNames(in: file)
        guard !names.isEmpty else { return [] }
        return file.code.enumerated().compactMap { place, line in
            guard walks(line, over: names), !isOrderFree(line), !file.isExcused(place) else {
                return nil
            }
            return place + 1
        }
    }

    private static func declaredNames(in file: SourceFile) -> Set<String> {
        let declaration =
            /\b(?:var|let) (\w+)(?:: (?:\[[^\[\]()]+: .+\]|Set<)| = (?:\[[^\[\]()]+: .+\]\(|\[:\]|Set<))/
        return Set(
            file.code.compactMap { line in
                line.firstMatch(of: declaration).map { String($0.1) }
            })
    }

    private static func walks(_ line: String, over names: Set<String>) -> Bool {
        let loop = /\bin (?:self\.)?(\w+)(?:\.(?:keys|values))?(?: where .*)? \{/
        let call =
            /\b(\w+)(?:\.(?:keys|values))?\.(?:map|compactMap|flatMap|forEach|reduce|first|prefix)\b/
        let mentioned =
            line.matches(of: loop).map { String($0.1) }
            + line.matches(of: call).map { String($0.1) }
        return mentioned.contains(where: names.contains)
    }

    private static func isOrderFree(_ line: String) -> Bool {
        line.contains(/\.sorted\b|\.min\b|\.max\b|\.allSatisfy\b|\.contains\b/)
    }
}
