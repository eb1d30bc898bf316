import { render } from "preact";
import { Session } from "./session.js";
import { takeToken } from "./token.js";
import { Page } from "./view/page.js";

const token = takeToken();
// The program opens a tab that is open already: only the fragment changes.
addEventListener("hashchange", () => location.reload());

const page = document.getElementById("page");
if (page !== null) {
  const session: Session = new Session((snapshot) => {
    render(<Page session={session} onConnect={() => void session.runAgain(token)} {...snapshot} />, page);
  });
  void session.run(token);
}
