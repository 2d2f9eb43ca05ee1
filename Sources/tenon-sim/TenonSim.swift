import ArgumentParser

@main
struct TenonSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenon-sim",
        abstract: "Runs whole Tenon clusters in a simulated world, from seeds that replay.",
        discussion: """
            The simulated nodes are the real engine; clocks, randomness, disks and the network are \
            not. One seed decides everything: the load, the faults and all timings. After every \
            step the safety properties of consensus and durability are checked, at the end \
            everything that clients saw.

            Exit codes: 0 done, 1 a check failed, 64 usage.

            EXAMPLES
              tenon-sim run --seed 42 --scenario everything
              tenon-sim sweep --seeds 1..5000 --minutes 3 --jobs 2
              tenon-sim replay tenon-sim-failures/everything-42.replay --trace
              tenon-sim check history.ndjson
            """,
        subcommands: [
            Run.self, Sweep.self, Replay.self, CheckHistory.self, List.self, Worker.self,
        ] + planted)

    private static var planted: [any ParsableCommand.Type] {
        #if PLANTED_FAULTS
            [Planted.self]
        #else
            []
        #endif
    }
}
