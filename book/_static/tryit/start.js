/* Starts the page on which readers try the detector, or says what is missing; then a figure stands in.
 *
 * A classic script, because browsers load no modules from disk: there it says the command.
 */
(() => {
  "use strict";

  /** What this browser lacks, in a sentence, or nothing. */
  function lacking() {
    if (location.protocol === "file:")
      return (
        "Browsers run no detector from disk. Type “python -m http.server” in the folder of this book, the one " +
        "that has index.html (in a checkout: “make serve”), and open http://localhost:8000/book/try_it.html."
      );
    if (typeof WebAssembly !== "object")
      return "This browser has no WebAssembly, or it is switched off: switch it on, or take a newer browser.";
    if (typeof createImageBitmap !== "function" || typeof DecompressionStream !== "function")
      return "This browser is too old to read pictures in a page: take a newer one.";
    return "";
  }

  const root = document.querySelector(".tryit");
  const still = document.querySelector(".tryit-still");

  /** The page itself in place of the figure, or the figure with a sentence. */
  function show(trouble) {
    root.hidden = Boolean(trouble);
    still.hidden = !trouble;
    const said = `${trouble} The figure shows what it would decide.`;
    if (trouble) still.querySelector(".tryit-missing").textContent = said;
  }

  const trouble = lacking();
  show(trouble);
  if (!trouble)
    import("./page.js")
      .then(({ start }) => start(root))
      .catch(() => show("The scripts of this page could not be loaded: load the page again."));
})();
