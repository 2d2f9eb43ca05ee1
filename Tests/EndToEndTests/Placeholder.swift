import Testing

/// Replaced by the first suite of this module.
@Test func theModuleBuilds() {}
