"""Answers, scenes and questions with what is to be found of them, written by hand for these tests.

`refusal`: declines, gives up, or speaks of its writer as a model. `leak`: speaks of the caption,
description or list of texts that its writer had in place of the picture. `chat`: small talk around
an answer. `good`: none of these, many of them near misses. A third of each was written after the
patterns were last changed (`HELD_OUT`), to see what they do to sentences they were not fitted to.
"""

from __future__ import annotations

DEVELOPED = """
refusal|I'm sorry, but I can't help with identifying people in pictures.
refusal|As an AI language model, I do not have eyes.
refusal|It is not possible to determine the brand without more context.
refusal|I cannot see the image, so I can only guess.
refusal|The age of the man cannot be determined.
refusal|There is not enough information to say what time it is.
refusal|I am unable to view images at the moment.
refusal|Unfortunately, I don't have access to the picture.
refusal|This request is against our content policy.
refusal|I have no way of telling which team is winning.
refusal|Sorry, that is something I would rather not answer.
refusal|I won't provide details about this person.
refusal|作为一个人工智能语言模型，我没有视觉能力。
refusal|抱歉，我无法识别图中的人物。
refusal|根据现有画面，无法判断具体时间。
refusal|我不能回答这个问题。
refusal|信息不足，难以得出结论。
refusal|对不起，我看不到这张图片。
refusal|我是一个AI助手，不能评价他人的外貌。
refusal|我不知道这座桥的名字。
refusal|该内容违反了使用政策。
leak|According to the caption, the woman is a nurse.
leak|Based on the description, the car is parked beside the river.
leak|The caption says that two children are playing.
leak|The description mentions a red umbrella near the door.
leak|The colour of the roof is not mentioned.
leak|As described in the text, the boat is old.
leak|The OCR shows the word EXIT above the door.
leak|From the provided information, there are four chairs.
leak|The detected text includes a phone number.
leak|What does the caption mention about the weather?
leak|The image description does not specify who painted it.
leak|The page title suggests that this is a harbour in Norway.
leak|根据描述，这只猫躺在沙发上。
leak|描述中提到一位老人坐在长椅上。
leak|图片描述没有说明天气情况。
leak|根据所给的文字，店名是“春风”。
leak|从上述信息可以看出，他们在庆祝生日。
leak|识别到的文字包括“出口”。
leak|图中未提及具体价格。
leak|网页标题显示这是杭州西湖。
leak|如上文所述，桥建于明代。
leak|描述里没有写明人数。
chat|Sure! The dog is brown.
chat|Certainly, there are three boats in the harbour.
chat|Here is a detailed description of the street.
chat|The tower is made of brick. I hope this helps!
chat|The tower is made of brick. Let me know if you need anything else.
chat|当然可以！图中有三只鸭子。
chat|好的，这是一座石桥。
chat|以下是对这张照片的介绍：一条小街通向海边。
chat|这是一座石桥。希望我的回答对您有帮助。
chat|如果您还有其他问题，请随时告诉我。
good|The dog is brown with a white patch on its chest.
good|A woman in a blue coat waits at the bus stop.
good|No, the shop is closed because the shutters are down.
good|The poster announces a concert on the fifth of May.
good|The man cannot see the dog, which hides behind the wall.
good|She looks sorry, with her head bowed and her hands folded.
good|Two signs tell drivers to stop before the crossing.
good|He is reading a text on his phone while crossing the road.
good|The boat is tied to the pier by a thick rope.
good|Here are three mountain bikes leaning against a fence.
good|Of the four windows, only one is open.
good|The price is not written on the label.
good|The information desk stands to the left of the entrance.
good|It is difficult to walk here because the path is covered with ice.
good|The child does not know how to tie the laces and asks for help.
good|A robot with the letters AI on its chest waves at visitors.
good|The title on the cover of the book is printed in gold.
good|Judging by the long shadows, it is late in the afternoon.
good|Based on the uniforms, the players belong to two teams.
good|The crowd is certainly larger on the left side of the square.
good|A monk walks in a passage between the old walls.
good|I could not see the shore, so I rowed on and sang to the gulls.
good|The number XXX is painted on the helmet.
good|In the foreground, a policy of leaving wild flowers has turned the lawn yellow.
good|图中有一只黑白相间的猫趴在窗台上。
good|这位女士穿着蓝色外套，正在等公交车。
good|海报上写着演出时间是五月五日。
good|商店关着门，卷帘已经放下。
good|小男孩不知道怎么系鞋带，妈妈在帮他。
good|路牌提醒司机前方有学校。
good|桌上的书标题是金色的。
good|因为地面结冰，行人无法快速通过。
good|他一脸抱歉地看着打碎的花瓶。
good|根据影子的长度，拍摄时间应该是傍晚。
good|根据球衣的颜色，两队各有五名球员。
good|请根据图片描述一下这个场景。
good|价签上没有写价格。
good|当然不是所有人都戴着帽子，左边两位就没有。
good|墙上的说明牌介绍了这座塔的历史。
good|机器人胸前印着“AI”两个字母。
good|房间里的信息栏贴满了通知。
"""

HELD_OUT = """
refusal|I must decline to comment on the person's ethnicity.
refusal|I can't tell from here what the sign says.
refusal|We are not able to identify the individual.
refusal|My apologies, the picture did not load for me.
refusal|It's impossible to say how old she is from this angle.
refusal|There is insufficient context to name the city.
refusal|I'm just a language model and cannot look at photos.
refusal|我没办法看到图片内容。
refusal|非常抱歉，这个问题我不方便回答。
refusal|仅凭这张照片难以确定地点，线索不足。
refusal|我只是一个语言模型，无法查看图像。
leak|The text states that the bridge was opened in 1932.
leak|Judging by the caption, this must be a wedding.
leak|The given details do not say who owns the dog.
leak|The number of guests isn't specified.
leak|As stated in the description, the sky is overcast.
leak|The extracted words read "no parking".
leak|By the alt text, it is a lighthouse.
leak|文字描述中说两个孩子在踢球。
leak|题目给出的描述没有涉及颜色。
leak|依据提供的信息，这是一家面包店。
leak|说明中指出桥长三百米。
leak|OCR结果里有“停车”二字。
chat|Great question! The flag belongs to Norway.
chat|Here's my answer: the cat is asleep.
chat|Okay, the picture shows a lake.
chat|The cat is asleep. Feel free to ask about the rest.
chat|没问题，图中一共有六个人。
chat|图中一共有六个人，希望能帮到你。
good|The referee shows a red card to the player on the ground.
good|I would choose the window seat, since it has the better view.
good|The passengers are unable to board because the doors are shut.
good|From the map on the wall, the station is two blocks away.
good|The recipe gives the amount of flour in grams.
good|She is sure of her step even on the narrow beam.
good|The label describes the wine as dry.
good|A list of names is carved into the stone.
good|An old typewriter stands between two piles of paper.
good|The speech bubble says "I am sorry I am late".
good|Nothing else is written on the board besides the date.
good|The path from the village leads up to the chapel.
good|裁判正在向倒地的球员出示红牌。
good|墙上的地图显示车站离这里两个街区。
good|菜谱上写明了面粉的克数。
good|气泡里写着“对不起，我迟到了”。
good|纪念碑上刻着一串名字。
good|她确定地踩在窄窄的平衡木上。
good|两堆纸之间放着一台旧打字机。
good|酒标上说这款酒口感偏干。
"""


def labelled(text: str) -> list[tuple[str, str]]:
    """Label and sentence of each line."""
    pairs = [line.split("|", 1) for line in text.strip().splitlines()]
    return [(label, sentence) for label, sentence in pairs]


SCENES_ZH = """
一只棕色的狗在沙滩上追着红色的球。|沙滩上，一条狗奔跑着去捡一个红球。
两个小女孩坐在公园的长椅上吃冰淇淋。|公园里有两位女孩坐着长椅，手里拿着冰淇淋。
一位老人在湖边钓鱼，身旁放着水桶。|湖边有一个老人正在钓鱼，旁边有个蓝色水桶。
消防员站在红色消防车前合影。|几名消防员在一辆消防车旁边拍照。
厨师在厨房里用平底锅煎鸡蛋。|厨房中，一名戴帽子的厨师正在煎蛋。
一架飞机停在机场跑道上等待起飞。|机场的跑道上有一架准备起飞的白色飞机。
孩子们在操场上踢足球，老师在旁边看着。|操场上一群学生正在踢足球。
一座石桥横跨在小河上，河边长满柳树。|小河上有一座古老的石桥，两岸是柳树。
女子骑着自行车穿过拥挤的街道。|街道上很拥挤，一名女人骑自行车经过。
桌上放着一杯咖啡和一本打开的书。|一本打开的书旁边有一杯热咖啡。
雪山脚下有几间木屋，烟囱冒着烟。|几栋木屋建在雪山下，屋顶的烟囱有烟。
乐队在舞台上演奏，台下观众举起双手。|舞台上有一支乐队在演出，观众非常兴奋。
医生正在给小男孩检查牙齿。|一名医生查看男孩的牙齿。
渔民把刚捕到的鱼装进木箱。|木箱里装满了鱼，渔民正在整理渔网。
一只黑猫趴在窗台上晒太阳。|窗台上有一只晒太阳的黑猫。
工人们戴着安全帽在工地上搬运钢筋。|工地上有许多戴安全帽的工人，地上堆着钢筋。
"""
"""Two descriptions of one scene a line, written without looking at what they share."""

QUESTION_PAIRS = """
same|What colour is the dog?|What is the color of the dog?
same|How many people are in the picture?|How many people are there in the image?
same|What is the man on the left holding?|What is the man holding on the left?
same|Is there a bicycle in the picture?|Is there a bicycle in this photo?
same|Where was this photo taken?|Where was this picture taken?
same|Describe the scene in detail.|Please describe the scene in detail.
same|What is written on the sign?|What's written on the sign?
same|Which season does the picture show?|Which season is shown in the picture?
same|Who is standing next to the car?|Who stands next to the car?
same|What are the children playing with?|What do the children play with?
same|What is the weather like?|What is the weather like in the image?
same|How many windows does the house have?|How many windows are there in the house?
same|图中有几个人？|图片中有几个人？
same|狗是什么颜色的？|这只狗是什么颜色？
same|男人手里拿着什么？|男人的手里拿着什么东西？
same|这张照片是在哪里拍的？|照片是在哪里拍的？
same|请描述图中的场景。|请描述一下图片中的场景。
same|牌子上写了什么？|牌子上写着什么？
same|图中是否有自行车？|图片里是否有自行车？
same|天气怎么样？|图中的天气怎么样？
other|What colour is the dog?|What colour is the cat?
other|What colour is the dog?|What is the dog doing?
other|How many people are in the picture?|How many dogs are in the picture?
other|What is the man on the left holding?|What is the man on the right holding?
other|What is the man holding?|What is the woman holding?
other|Is the man wearing a hat?|Is the man wearing glasses?
other|Is the dog brown?|Is the dog black?
other|Where is the dog?|How many dogs are there?
other|Where is the dog?|Who is with the dog?
other|Who is holding the umbrella?|Why is she holding the umbrella?
other|What is written on the sign?|Where is the sign?
other|Is there a dog in front of the house?|Is there a dog behind the house?
other|How many windows does the house have?|How many doors does the house have?
other|What season is it?|What time of day is it?
other|Which team is winning?|Which team is losing?
other|What does the poster announce?|When was the poster printed?
other|Describe the scene.|Describe the mood of the scene.
other|Is the shop open?|Is the shop closed?
other|What material is the table made of?|What shape is the table?
other|Are there two boats?|Are there three boats?
other|图中有几个人？|图中有几只狗？
other|狗是什么颜色的？|猫是什么颜色的？
other|男人手里拿着什么？|女人手里拿着什么？
other|左边的人在做什么？|右边的人在做什么？
other|这张照片是在哪里拍的？|这张照片是什么时候拍的？
other|桌子是什么形状的？|桌子是什么颜色的？
other|男孩戴着帽子吗？|男孩戴着眼镜吗？
other|图中是否有自行车？|图中是否有汽车？
other|牌子上写了什么？|牌子在哪里？
other|图中是白天吗？|图中是晚上吗？
other|房子有几扇窗户？|房子有几扇门？
other|为什么她拿着伞？|谁拿着伞？
other|What has the man left of the stall in hand?|What has the man right of the stall in hand?
other|By the old bridge, how many boats are there?|By the old bridge, how many cars are there?
other|照片左边那位穿着蓝色外套的女士手里拿着的雨伞是什么颜色？|照片右边那位穿着蓝色外套的女士手里拿着的雨伞是什么颜色？
same|What has the man left of the stall in hand?|In hand, what has the man left of the stall?
same|照片左边那位穿着蓝色外套的女士手里拿着的雨伞是什么颜色？|左边那位穿蓝色外套的女士拿着的雨伞是什么颜色的？
paraphrase|What colour is the dog?|Can you tell the hue of the animal's fur?
paraphrase|How many people are in the picture?|What is the number of persons visible?
paraphrase|Where was this photo taken?|In which place did the photographer shoot this?
paraphrase|What is the man holding?|Which object does the man have in his hand?
paraphrase|图中有几个人？|画面里的人数是多少？
paraphrase|天气怎么样？|当时的天气情况如何？
"""
"""Two questions about one picture a line: nearly the same words, other meaning, or other words."""


def question_pairs() -> list[tuple[str, str, str]]:
    """Label and both questions of each line."""
    lines = (line.split("|") for line in QUESTION_PAIRS.strip().splitlines())
    return [(label, one, other) for label, one, other in lines]
