import TenonCore
import TenonSimulator
import Testing

/// Schedules of faults: drawn, written down, read back.
@Suite struct FaultScheduleTests {
    @Test func `a replay file gives back what was written`() throws {
        var kinds: Set<String> = []
        for seed in UInt64(1)...120 {
            let scenario = ScenarioCatalogue.scenario(for: seed)
            let schedule = Simulation.schedule(seed: seed, scenario)
            let file = ReplayFile(scenario: scenario.name, seed: seed, schedule: schedule)
            #expect(try ReplayFile(file.text) == file)
            for event in schedule.events { kinds.insert(event.fault.name) }
        }
        #expect(kinds.count > 20, "\(kinds.sorted())")
    }

    @Test func `comments and empty lines are skipped`() throws {
        let file = try ReplayFile("# why\nscenario calm\n\nseed 3\nfault 5 6 crash n1,n2\n")
        #expect(file.scenario == "calm")
        #expect(file.seed == 3)
        #expect(
            file.schedule.events == [
                FaultSchedule.Event(beginsAt: 5, lasts: 6, .crash(.nodes([1, 2])))
            ])
    }

    @Test(arguments: [
        "scenario calm\n", "seed 1\n", "scenario calm\nseed 1\nfault 1 2 dance n1\n",
        "scenario calm\nseed 1\nfault 1 crash n1\n", "scenario calm\nseed 1\nfault 1 2 crash x1\n",
        "scenario calm\nseed 1\nfault 1 2 crash n1 n2\n", "scenario calm\nseed x\n", "what\n",
        "scenario calm\nseed 1\nfault 1 2 rot 1 log\n",
        "scenario calm\nseed 1\nfault 1 2 cut 1 holding\n",
    ])
    func `what is no replay is refused`(text: String) {
        #expect(throws: ReplayError.self) { try ReplayFile(text) }
    }

    @Test func `one seed draws one schedule`() throws {
        let scenario = try #require(ScenarioCatalogue.scenario(named: "everything"))
        let first = Simulation.schedule(seed: 9, scenario)
        #expect(first == Simulation.schedule(seed: 9, scenario))
        #expect(first != Simulation.schedule(seed: 10, scenario))
    }

    @Test func `never are more nodes damaged than the cluster survives, sometimes so many`() throws
    {
        for (name, bound) in [("damage", 1), ("five-everything", 2)] {
            let scenario = try #require(ScenarioCatalogue.scenario(named: name))
            var most = 0
            for seed in UInt64(1)...100 {
                let nodes = Simulation.schedule(seed: seed, scenario).events
                    .compactMap { event -> Int? in
                        if case .rot(let node, _, _) = event.fault { node } else { nil }
                    }
                #expect(Set(nodes).count <= bound)
                most = max(most, Set(nodes).count)
            }
            #expect(most == bound)
        }
    }
}
