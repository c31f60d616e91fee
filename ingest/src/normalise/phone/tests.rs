use proptest::prelude::*;

use super::*;

fn cn() -> Region {
    Region::parse("CN").unwrap()
}

#[test]
fn numbers_as_people_write_them() {
    for (raw, expected) in [
        ("13800001111", "+8613800001111"),
        ("138 0000 1111", "+8613800001111"),
        ("+86 138-0000-1111", "+8613800001111"),
        ("(+86)13800001111", "+8613800001111"),
        ("0086 13800001111", "+8613800001111"),
        ("86-13800001111", "+8613800001111"),
        ("8613800001111", "+8613800001111"),
        ("１３８００００１１１１", "+8613800001111"),
        ("８６－１３８００００１１１１", "+8613800001111"),
        ("手机：13800001111", "+8613800001111"),
        ("Tel: 13800001111", "+8613800001111"),
        ("tel:+8613800001111", "+8613800001111"),
        ("13800001111（李）", "+8613800001111"),
        ("'13800001111", "+8613800001111"),
        ("13800001111,", "+8613800001111"),
        ("Tel.13800001111", "+8613800001111"),
        ("手机13800001111", "+8613800001111"),
        ("Mobile +86 138 0000 1111", "+8613800001111"),
        ("13800001111.0", "+8613800001111"),
        ("1.3800001111E10", "+8613800001111"),
        ("19912345678", "+8619912345678"),
        ("17012345678", "+8617012345678"),
        ("010-65551234", "+861065551234"),
        ("(010)8888-6666", "+861088886666"),
        ("+86 (0)10 8888 6666", "+861088886666"),
        ("+86 010 8888 6666", "+861088886666"),
        ("0898-66668888", "+8689866668888"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+852 9123 4567", "+85291234567"),
        ("00852-91234567", "+85291234567"),
        ("+39 02 3661 8300", "+390236618300"),
    ] {
        assert_eq!(cn().e164(raw).as_deref(), Ok(expected), "{raw}");
    }
    assert_eq!(Region::parse("US").unwrap().e164("(415) 555-2671").as_deref(), Ok("+14155552671"));
    assert_eq!(Region::parse("DE").unwrap().e164("030/12345678").as_deref(), Ok("+493012345678"));
    assert_eq!(Region::parse("XX"), None);
}

#[test]
fn a_number_of_many_people_identifies_nobody() {
    for raw in [
        "88888888888",
        "99999999999",
        "10000000000",
        "010-888866661",
        "138****1111",
        "138xxxx1111",
        "138XXXX1111",
        "138••••1111",
        "138 1111",
        "10086",
        "95588",
        "110",
        "12345",
        "12345678901",
        "1380000111",
        "138000011112",
        "86138****1111",
        "139#00001111",
        "13800001111*2",
        "+86 138 **** 1111",
        "020-8888****",
        "88886666",
        "8888-6666",
        "138000011112222",
        "1.38E+10",
        "1.380000111E10",
        "oZhang12345678",
        "-",
        "N/A",
        "0",
        "无",
        "",
        "+1 555-2671",
        "+86",
        "13800001111 13900002222",
        "13800001111/2",
        "++8613800001111",
        "138+00001111",
        "传真:010-88886666",
        "13800001111(2)",
    ] {
        assert!(cn().e164(raw).is_err(), "{raw}: {:?}", cn().e164(raw));
    }
}

#[test]
fn a_switchboard_is_no_person() {
    for raw in [
        "010-88886666-8001",
        "010-88886666转8001",
        "13800001111转1",
        "+8613800001111 ext 12",
        "010-88886666 x8001",
        "010-88886666#8001",
        "010-88886666 分机 8001",
    ] {
        let found = cn().e164(raw);
        assert!(found.is_err(), "{raw}: {found:?}");
    }
    assert_eq!(cn().e164("010-88886666转8001"), Err(NoNumber::Extension));
    // Areas where numbers have seven digits, and eight are valid, too.
    let areas = (310..999).map(|area| format!("0{area}-6666888")).filter(|number| cn().e164(number).is_ok());
    let found: Vec<_> = areas.map(|number| cn().e164(&format!("{number}-1"))).collect();
    assert!(!found.is_empty() && found.iter().all(Result::is_err));
    for raw in ["400-820-8820", "4008208820", "800-820-8820", "+1 800 555 0199"] {
        assert_eq!(cn().e164(raw), Err(NoNumber::Service), "{raw}");
    }
}

#[test]
fn several_numbers_of_a_cell_are_several() {
    for text in [
        "13800001111/13900002222",
        "13800001111、13900002222",
        "13800001111,13900002222",
        "13800001111;13900002222",
        "13800001111；13900002222",
        "13800001111 13900002222",
        "13800001111，13900002222",
        "13800001111或13900002222",
    ] {
        let found: Vec<_> = cn().parts(text).iter().map(|part| cn().e164(part).unwrap()).collect();
        assert_eq!(found, ["+8613800001111", "+8613900002222"], "{text}");
    }
    for text in ["138 0000 1111", "+86 138 0000 1111", "030/1234567", "13800001111/2", "010-88886666,8001", "1;ext=2"] {
        assert_eq!(cn().parts(text).len(), 1, "{text}");
    }
    assert!(cn().parts("+8613800001111;ext=12").iter().all(|part| cn().e164(part).is_err()));
}

/// Texts similar to phone numbers.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "3",
        "8",
        "0",
        "00",
        "010",
        "138",
        "+86",
        "+",
        "86",
        "+1",
        " ",
        "-",
        "*",
        "x",
        "#",
        "(",
        ")",
        "/",
        "转",
        "ext",
        ";",
        "、",
        ".0",
        "13800001111",
        "8888",
        "＋",
        "１",
        "E10",
        ".",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// The fast path gives the same as the library.
    #[test]
    fn short_cut_agrees_with_the_library(text in "(\\+?86|\\+1|\\+)?1[0-9]{9,11}") {
        if let Some(quick) = cn().chinese_mobile(&text) {
            prop_assert_eq!(Ok(quick), cn().by_library(&text), "{}", text);
        }
    }

    /// Only numbers that the library calls valid become identifiers, with the digits of the text.
    #[test]
    fn only_valid_numbers_come_out(text in nearly()) {
        for part in cn().parts(&text) {
            let Ok(number) = cn().e164(&part) else { continue };
            let library = phonenumber::parse(None, &number).unwrap();
            prop_assert!(library.is_valid() && library.extension().is_none(), "{} of {}", number, text);
            prop_assert!(!part.contains(['*', '#', 'x', '转']), "{} of {}", number, text);
            prop_assert_eq!(cn().e164(&number), Ok(number));
        }
    }

    #[test]
    fn separators_do_not_matter(number in "\\+861[3-8][0-9]{9}", at in prop::collection::vec(0usize..14, 0..4)) {
        let mut text = number.clone();
        at.iter().for_each(|at| text.insert((*at).max(1), '-'));
        prop_assert_eq!(cn().e164(&text), cn().e164(&number));
    }
}
