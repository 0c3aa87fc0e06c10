import ArgumentParser
import Glibc

/// Selects the job.
struct JobOptions: ParsableArguments {
  @Argument(help: "Name of the job. Default: the only existing job; holdfast list shows all.") var job:
    String?
  @OptionGroup var place: StateOption

  func open() throws -> JobReader { try JobReader.open(job, stateDirectory: place.stateDirectory) }
}
