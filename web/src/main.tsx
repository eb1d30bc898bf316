import { render } from "preact";
import { Session } from "./session.js";
import { takeToken } from "./token.js";
import { Page } from "./view/page.js";

const session = new Session();
const page = document.getElementById("page");
if (page !== null) session.subscribe((snapshot) => render(<Page session={session} {...snapshot} />, page));
void session.run(takeToken());
