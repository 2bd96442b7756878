/* The file starts with the run that it carries. */

begin(unpack, (run) => new App(run));
