/// One thing to measure: a body that is run many times.
///
/// A wall time of one machine says little, so every result is also told as a ratio to a copy of
/// 4 KiB measured in the same run: that ratio may be compared between runs.
struct Benchmark {
    var name: String
    /// How many things one run of the body does (bytes, keys, records): times are for one.
    var itemsPerRun: Int
    /// Runs the body once and returns something that depends on all it did.
    var run: () throws -> Int

    private static let rounds = 9
    private static let roundTime = Duration.milliseconds(150)

    /// The median time of one item, in nanoseconds, over rounds of at least 150 ms.
    func nanosecondsPerItem() throws -> Double {
        var times: [Double] = []
        for _ in 0..<Benchmark.rounds { times.append(try round()) }
        return times.sorted()[Benchmark.rounds / 2]
    }

    private func round() throws -> Double {
        var runs = 0
        let start = ContinuousClock.now
        var elapsed = Duration.zero
        while elapsed < Benchmark.roundTime {
            Benchmark.use(try run())
            runs += 1
            elapsed = ContinuousClock.now - start
        }
        let nanoseconds =
            Double(elapsed.components.seconds) * 1e9
            + Double(elapsed.components.attoseconds) / 1e9
        return nanoseconds / Double(runs * itemsPerRun)
    }

    /// Keeps the optimiser from dropping what nobody looks at.
    @inline(never)
    private static func use(_ value: Int) {
        if value == Int.min { print("unlikely") }
    }
}
