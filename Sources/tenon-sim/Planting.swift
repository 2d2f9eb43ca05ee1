import ArgumentParser
import TenonCore

/// The fault that is planted into the engine before anything runs. Only a build with the trait
/// `PlantedFaults` knows the option.
struct Planting: ParsableArguments {
    #if PLANTED_FAULTS
        @Option(help: "Plant this fault into the engine: see tenon-sim planted --list.")
        var plant: String?

        func validate() throws {
            guard let plant else { return }
            guard let fault = PlantedFault(name: plant) else {
                throw ValidationError("--plant: there is no fault \(plant)")
            }
            unsafe plantedFault = fault
        }
    #endif

    /// What a child process is told, so that it plants the same.
    static var arguments: [String] {
        #if PLANTED_FAULTS
            if let fault = unsafe plantedFault { return ["--plant", "\(fault)"] }
        #endif
        return []
    }
}
